//go:build storage

package hdfs

// Against a real Hadoop: the contract whole, and each defect of the client
// library that the package has to live with.

import (
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/fstest"
)

// authority is the real cluster's namenode.
func authority(t *testing.T) string {
	t.Helper()
	uri := os.Getenv("TIDEMILL_HDFS")
	if uri == "" {
		t.Fatal("TIDEMILL_HDFS names no server; run: make test-storage")
	}
	return strings.TrimPrefix(uri, "hdfs://")
}

func newReal(t *testing.T, o Options) *FileSystem {
	t.Helper()
	// A cluster with Kerberos, for who has one.
	o.Keytab, o.Principal = os.Getenv("TIDEMILL_HDFS_KEYTAB"), os.Getenv("TIDEMILL_HDFS_PRINCIPAL")
	h := New(o)
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// fresh returns a directory of the test's own.
func fresh(t *testing.T, h *FileSystem) string {
	t.Helper()
	dir := authority(t) + "/" + strings.NewReplacer("/", "-", " ", "-", ":", "-").Replace(t.Name())
	if err := h.RemoveAll(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestConformance(t *testing.T) {
	h := newReal(t, Options{})
	fstest.Run(t, func(t *testing.T) (fs.FileSystem, string) { return h, fresh(t, h) })
}
