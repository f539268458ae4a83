package hdfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func property(name, value string) string {
	return "<property><name>" + name + "</name><value> " + value + " </value></property>"
}

func TestNamenodes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "core-site.xml", "<configuration>"+property("dfs.namenode.rpc-address.a.n1", "old:1")+"</configuration>")
	write(t, dir, "hdfs-site.xml", "<configuration>"+property("dfs.ha.namenodes.a", "n1, n2")+
		property("dfs.namenode.rpc-address.a.n1", "x:1")+property("dfs.namenode.rpc-address.a.n2", "y:2")+
		property("dfs.ha.namenodes.b", "n3")+"</configuration>")
	conf, err := LoadConf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := conf.Namenodes("a"); err != nil || !slices.Equal(got, []string{"x:1", "y:2"}) {
		t.Fatalf("nameservice: %v, %v", got, err)
	}
	if got, err := conf.Namenodes("h:8020"); err != nil || !slices.Equal(got, []string{"h:8020"}) {
		t.Fatalf("host: %v, %v", got, err)
	}
	if _, err := conf.Namenodes("b"); err == nil || !strings.Contains(err.Error(), "dfs.namenode.rpc-address.b.n3") {
		t.Fatalf("missing address: %v", err)
	}
}

func TestLoadConfFails(t *testing.T) {
	dir := t.TempDir()
	if conf, err := LoadConf(dir); err != nil || len(conf) != 0 {
		t.Fatalf("no files: %v, %v", conf, err)
	}
	write(t, dir, "core-site.xml", "<configuration>")
	if _, err := LoadConf(dir); err == nil || !strings.Contains(err.Error(), "core-site.xml") {
		t.Fatalf("broken file: %v", err)
	}
}

func TestVariables(t *testing.T) {
	t.Setenv("TM_HOST", "h1")
	conf := Conf{
		"fs.defaultFS": "hdfs://${cluster}", "cluster": "${env.TM_HOST}:${port}", "port": "9", "self": "x${self}",
		"dfs.ha.namenodes.ns": "a", "dfs.namenode.rpc-address.ns.a": "${env.TM_HOST}",
	}
	if got, err := conf.Default(); err != nil || got != "h1:9" {
		t.Errorf("default: %q, %v", got, err)
	}
	if got, err := conf.Namenodes("ns"); err != nil || got[0] != "h1:8020" {
		t.Errorf("nameservice: %v, %v", got, err)
	}
	for authority, want := range map[string]string{"h": "h:8020", "h:1": "h:1", "[::1]": "[::1]:8020", "::1": "[::1]:8020"} {
		if got, err := conf.Namenodes(authority); err != nil || got[0] != want {
			t.Errorf("%s: %v, %v", authority, got, err)
		}
	}
	if got := conf.Get("self"); !strings.HasSuffix(got, "x${self}") {
		t.Errorf("a property that names itself: %q", got)
	}
	if got := (Conf{"a": "${no.such}"}).Get("a"); got != "${no.such}" {
		t.Errorf("an unknown name: %q", got)
	}
	for _, bad := range []Conf{{}, {"fs.defaultFS": "file:///"}, {"fs.default.name": ":"}} {
		if got, err := bad.Default(); err == nil {
			t.Errorf("%v: %q", bad, got)
		}
	}
}

func TestConfDir(t *testing.T) {
	t.Setenv("HADOOP_CONF_DIR", "")
	t.Setenv("HADOOP_HOME", "")
	if got := confDir(); got != "" {
		t.Error(got)
	}
	t.Setenv("HADOOP_HOME", "/h")
	if got := confDir(); got != "/h/etc/hadoop" {
		t.Error(got)
	}
	t.Setenv("HADOOP_CONF_DIR", "/c")
	if got := confDir(); got != "/c" {
		t.Error(got)
	}
}
