package hdfs

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// defaultPort is where a namenode answers when its address names no port.
const defaultPort = "8020"

// Conf is Hadoop's configuration: property names and their values as written.
type Conf map[string]string

// LoadConf reads core-site.xml and then hdfs-site.xml in dir (HADOOP_CONF_DIR);
// a later value replaces an earlier one. A missing file counts as empty.
func LoadConf(dir string) (Conf, error) {
	conf := Conf{}
	for _, name := range []string{"core-site.xml", "hdfs-site.xml"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read hadoop configuration: %w", err)
		}
		var file struct {
			Properties []struct {
				Name  string `xml:"name"`
				Value string `xml:"value"`
			} `xml:"property"`
		}
		if err := xml.Unmarshal(data, &file); err != nil {
			return nil, fmt.Errorf("parse hadoop configuration %s: %w", filepath.Join(dir, name), err)
		}
		for _, p := range file.Properties {
			conf[strings.TrimSpace(p.Name)] = strings.TrimSpace(p.Value)
		}
	}
	return conf, nil
}

// confDir is the directory that Hadoop's own tools would take.
func confDir() string {
	if dir := os.Getenv("HADOOP_CONF_DIR"); dir != "" {
		return dir
	}
	if home := os.Getenv("HADOOP_HOME"); home != "" {
		return filepath.Join(home, "etc", "hadoop")
	}
	return ""
}

// Get returns a property with each ${name} replaced by that property and each
// ${env.NAME} by the environment; what neither has stays as written.
func (c Conf) Get(key string) string {
	const depth = 20 // as in Hadoop; a property may name itself
	value := c[key]
	for range depth {
		next := variable.ReplaceAllStringFunc(value, c.variable)
		if next == value {
			break
		}
		value = next
	}
	return value
}

var variable = regexp.MustCompile(`\$\{[^}$\s]+\}`)

func (c Conf) variable(written string) string {
	name := written[2 : len(written)-1]
	if env, ok := strings.CutPrefix(name, "env."); ok {
		if v, set := os.LookupEnv(env); set {
			return v
		}
	}
	if v, ok := c[name]; ok {
		return v
	}
	return written
}

// Default returns the authority that an hdfs path without one means: that of
// fs.defaultFS.
func (c Conf) Default() (string, error) {
	value := c.Get("fs.defaultFS")
	if value == "" {
		value = c.Get("fs.default.name") // its name before Hadoop 2
	}
	u, err := url.Parse(value)
	if err != nil {
		return "", fmt.Errorf("fs.defaultFS in the hadoop configuration: %w", err)
	}
	if u.Scheme != "hdfs" || u.Host == "" {
		return "", fmt.Errorf("the path names no host, and fs.defaultFS in the hadoop configuration is %q, not hdfs://HOST", value)
	}
	return u.Host, nil
}

// Namenodes returns the RPC addresses behind the authority of an hdfs URI: those
// of a nameservice in their order, or the authority itself; a port that is
// missing is 8020. A nameservice with a namenode that has no address is an error.
func (c Conf) Namenodes(authority string) ([]string, error) {
	ids := c.Get("dfs.ha.namenodes." + authority)
	if ids == "" {
		return []string{withPort(authority)}, nil
	}
	var addresses []string
	for id := range strings.SplitSeq(ids, ",") {
		key := "dfs.namenode.rpc-address." + authority + "." + strings.TrimSpace(id)
		address := c.Get(key)
		if address == "" {
			return nil, fmt.Errorf("nameservice %s: no %s in the hadoop configuration", authority, key)
		}
		addresses = append(addresses, withPort(address))
	}
	return addresses, nil
}

func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return net.JoinHostPort(strings.Trim(address, "[]"), defaultPort)
	}
	return address
}
