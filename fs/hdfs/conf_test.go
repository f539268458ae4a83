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
