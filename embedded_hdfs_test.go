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
	e.storyOfTables("csv")

	// A path without a host is that of fs.defaultFS.
	_, dir := fs.SplitURI(e.dir)
	h := hdfs.New(hdfs.Options{})
	leftovers(t, h, "hdfs:///"+dir[strings.Index(dir, "/")+1:])
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}
