//go:build storage

package tidemill_test

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/hdfs"
)

// SQL on tables in HDFS, on the server that make test-storage starts.
func TestStorageHDFS(t *testing.T) {
	e := open(t, nil)
	e.dir = os.Getenv("TIDEMILL_HDFS") + "/" + rand.Text()
	if !strings.HasPrefix(e.dir, "hdfs://") {
		t.Fatal("TIDEMILL_HDFS names no server; run: make test-storage")
	}
	e.expect(`
		CREATE TABLE logs WITH ('connector' = 'filesystem', 'path' = '${dir}/logs', 'format' = 'parquet')
			AS SELECT * FROM (VALUES ('m1', 1), ('m2', 2), ('t1', 1)) AS v (msg, lvl);
		SELECT msg, lvl FROM logs`, "m1 1", "m2 2", "t1 1")
	e.expect("SELECT COUNT(*), MAX(msg) FROM '${dir}/logs/*.parquet'", "3 t1")
	e.expect(`
		CREATE TABLE days (msg STRING, lvl INT, d STRING) PARTITIONED BY (d)
			WITH ('connector' = 'filesystem', 'path' = '${dir}/days', 'format' = 'csv');
		INSERT INTO days SELECT msg, lvl, 'mon' FROM logs;
		INSERT INTO days SELECT msg, lvl + 10, 'a b%/c' FROM logs;
		SELECT d, COUNT(*), SUM(lvl) FROM days GROUP BY d`, "a b%/c 3 34", "mon 3 4")
	e.expect(`
		INSERT OVERWRITE days PARTITION (d = 'mon') VALUES ('new', 7);
		SELECT d, COUNT(*), SUM(lvl) FROM days GROUP BY d`, "a b%/c 3 34", "mon 1 7")
	e.expect(`
		INSERT OVERWRITE days SELECT msg, lvl * 2, d FROM days WHERE d <> 'mon';
		SELECT d, COUNT(*), SUM(lvl) FROM days GROUP BY d`, "a b%/c 3 68", "mon 1 7")

	// Nothing staged is left, and a path without a host is that of fs.defaultFS.
	_, dir := fs.SplitURI(e.dir)
	h := hdfs.New(hdfs.Options{})
	err := h.List(t.Context(), "/"+dir[strings.Index(dir, "/")+1:], fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		if strings.Contains(i.Path, "/"+fs.StagedPrefix) || strings.HasPrefix(i.Name(), "_tidemill-") {
			t.Errorf("left behind: %s", i.Path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}
