package hdfs

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

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

// Namenodes returns the RPC addresses behind the authority of an hdfs URI: those
// of a nameservice in their order, or the authority itself, which is then
// host:port. A nameservice with a namenode that has no address is an error.
func (c Conf) Namenodes(authority string) ([]string, error) {
	ids, ok := c["dfs.ha.namenodes."+authority]
	if !ok {
		return []string{authority}, nil
	}
	var addresses []string
	for id := range strings.SplitSeq(ids, ",") {
		key := "dfs.namenode.rpc-address." + authority + "." + strings.TrimSpace(id)
		if c[key] == "" {
			return nil, fmt.Errorf("nameservice %s: no %s in the hadoop configuration", authority, key)
		}
		addresses = append(addresses, c[key])
	}
	return addresses, nil
}
