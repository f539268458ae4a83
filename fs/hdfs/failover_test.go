//go:build storage

package hdfs

// Two namenodes of one nameservice: the active one dies, or gives up its role, in
// the middle of a file that is read and one that is written.

import (
	"os"
	"testing"

	"github.com/tidemill/tidemill/fs"
)

const nameservice = "tidemill"

// pair is the real pair's directory; its file system finds both namenodes by their
// nameservice in Hadoop's XML.
func pair(t *testing.T) (dir string, h *FileSystem) {
	t.Helper()
	if dir = os.Getenv("TIDEMILL_HDFS_HA"); dir == "" {
		t.Fatal("TIDEMILL_HDFS_HA names no server; run: make test-storage")
	}
	return dir, newReal(t, Options{ConfDir: dir + "/conf"})
}

// work is a file that is half read and one that is half written.
type work struct {
	t       *testing.T
	h       *FileSystem
	data    []byte
	read    fs.File
	written fs.Writer
	name    string
}

func begin(t *testing.T, h *FileSystem, name string) *work {
	t.Helper()
	w := &work{t: t, h: h, data: pattern(4 << 20), name: name}
	put(t, h, name+"/old", w.data)
	var err error
	if w.read, err = h.Open(t.Context(), name+"/old"); err != nil {
		t.Fatal(err)
	}
	if w.written, err = h.Create(t.Context(), name+"/new", fs.CreateOptions{IfNotExists: true}); err != nil {
		t.Fatal(err)
	}
	w.half(0)
	return w
}

func (w *work) half(off int) {
	w.t.Helper()
	part := w.data[off : off+len(w.data)/2]
	got := make([]byte, len(part))
	if _, err := w.read.ReadAt(got, int64(off)); err != nil || string(got) != string(part) {
		w.t.Fatalf("read at %d: %v", off, err)
	}
	if _, err := w.written.Write(part); err != nil {
		w.t.Fatalf("write at %d: %v", off, err)
	}
}

func (w *work) finish() {
	w.t.Helper()
	w.half(len(w.data) / 2)
	if err := w.written.Commit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.read.Close(); err != nil {
		w.t.Fatal(err)
	}
	check(w.t, w.h, w.name+"/new", w.data)
	if err := w.h.RemoveAll(w.t.Context(), w.name); err != nil {
		w.t.Fatal(err)
	}
}

func TestFailover(t *testing.T) {
	dir, h := pair(t)
	serverIn(t, dir, "failover", "nn1") // where an earlier run left the other
	w := begin(t, h, nameservice+"/killed")
	serverIn(t, dir, "kill", "nn1", "KILL")
	failedOver := make(chan struct{})
	go func() { // calls wait for it
		defer close(failedOver)
		serverIn(t, dir, "failover", "nn2")
	}()
	w.finish()
	<-failedOver

	serverIn(t, dir, "start") // nn1 comes back as the standby
	w = begin(t, h, nameservice+"/moved")
	serverIn(t, dir, "failover", "nn1")
	w.finish()
}
