//go:build storage

package hdfs

// One test for each defect of the client library: the promise holds in spite of it.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// signal sends a process of the real cluster a signal; the cluster is whole again
// when the test ends.
func signal(t *testing.T, process, sig string) {
	t.Helper()
	server(t, "kill", process, sig)
	t.Cleanup(func() {
		if sig == "STOP" {
			server(t, "kill", process, "CONT")
			return
		}
		server(t, "start")
	})
}

func server(t *testing.T, verb string, args ...string) {
	t.Helper()
	serverIn(t, os.Getenv("TIDEMILL_HDFS_SERVER"), verb, args...)
}

// serverIn is server for the cluster in a directory; any goroutine may call it.
func serverIn(t *testing.T, dir, verb string, args ...string) {
	t.Helper()
	args = append([]string{verb, dir}, args...)
	if out, err := exec.Command("../../tools/storage/hdfs.sh", args...).CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
}

// small is a configuration with the server's addresses and tiny blocks.
func small(t *testing.T, blockSize string) Options {
	t.Helper()
	conf, err := LoadConf(os.Getenv("HADOOP_CONF_DIR"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "core-site.xml", "<configuration>"+
		property("dfs.client.use.datanode.hostname", conf.Get("dfs.client.use.datanode.hostname"))+
		property("dfs.replication", conf.Get("dfs.replication"))+property("dfs.blocksize", blockSize)+"</configuration>")
	return Options{ConfDir: dir}
}

func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return data
}

func check(t *testing.T, h *FileSystem, p string, want []byte) {
	t.Helper()
	got, err := fs.ReadFile(t.Context(), h, p, 1<<30)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes, want %d, %v", p, len(got), len(want), err)
	}
}

func put(t *testing.T, h *FileSystem, p string, data []byte) {
	t.Helper()
	if err := fs.WriteFile(t.Context(), h, p, data, fs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// 1 and 2: what Persist returned a token for is there for a reader and for the next
// process, though the writer never closes its file.
func TestFlushIsNotDurableAndNotSeen(t *testing.T) {
	h := newReal(t, small(t, "1m"))
	dir := fresh(t, h)
	w, err := h.CreateRecoverable(t.Context(), dir+"/x")
	if err != nil {
		t.Fatal(err)
	}
	data := pattern(3<<20 + 5)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	tok, err := w.Persist(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	signal(t, "dn1", "KILL")
	next := newReal(t, Options{})
	again, err := next.Resume(t.Context(), tok)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := again.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Publish(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	check(t, next, dir+"/x", data)
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// 3 and 4: a file of many blocks, as each is replicated while the next is asked for.
func TestReplicatingAndNotReplicatedYet(t *testing.T) {
	h := newReal(t, small(t, "4k"))
	dir, data := fresh(t, h), pattern(400<<10+1)
	put(t, h, dir+"/x", data)
	check(t, h, dir+"/x", data)
	for i := range 50 { // Close of small files
		put(t, h, dir+"/small", data[:i])
	}
}

// 5: a datanode dies before a file is begun, while the namenode still offers it.
func TestBrokenPipelineIsReplaced(t *testing.T) {
	h := newReal(t, Options{})
	dir := fresh(t, h)
	w, err := h.Create(t.Context(), dir+"/open", fs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data := pattern(100 << 10)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	signal(t, "dn1", "KILL")
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, h, dir+"/open", data)
}

// 5: more than is kept was written; the error says so and that trying again helps.
func TestBrokenPipelineIsTransient(t *testing.T) {
	h := newReal(t, Options{})
	w, err := h.Create(t.Context(), fresh(t, h)+"/x", fs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data := pattern(1 << 20)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	signal(t, "dn1", "KILL")
	for range 64 {
		if _, err = w.Write(data); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Commit(t.Context())
	}
	if failure.Of(err) != failure.Transient {
		t.Errorf("a pipeline that broke after a megabyte: %v", err)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Error(err)
	}
}

// A datanode dies while a file is read from it: the other replica goes on in the
// middle of a range. When that one is gone too, the error names file and block.
func TestDatanodeDiesMidRead(t *testing.T) {
	h := newReal(t, Options{Retry: 2 * time.Second})
	p, data := fresh(t, h)+"/x", pattern(32<<20)
	put(t, h, p, data)
	f, err := h.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(data))
	for off, killed := 0, false; off < len(got)-1<<20; off += 1 << 20 {
		if _, err := f.ReadAt(got[off:off+1<<20], int64(off)); err != nil {
			t.Fatal(err)
		}
		if !killed && off > 8<<20 {
			signal(t, "dn1", "KILL")
			killed = true
		}
	}
	if n := len(data) - 1<<20; !bytes.Equal(got[:n], data[:n]) {
		t.Fatal("other bytes")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	if f, err = h.Open(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	signal(t, "dn2", "KILL")
	_, err = f.ReadAt(got[:1<<20], 16<<20)
	if failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), p+": block blk_") {
		t.Errorf("without a datanode: %s: %v", failure.Of(err), err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if h.Stats().Errors == 0 || h.Stats().Retries == 0 {
		t.Errorf("counted %+v", h.Stats())
	}
}

// What the library reads where data travels with a key is the same.
func TestGuardedRead(t *testing.T) {
	h := newReal(t, small(t, "1m"))
	p, data := fresh(t, h)+"/x", pattern(5<<20+7)
	put(t, h, p, data)
	f, err := h.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(data))
	_, err = f.ReadAt(got[:1], 0) // finds out how data travels
	f.(*file).keyed.Store(true)
	if _, again := f.ReadAt(got, 0); err != nil || again != nil && !errors.Is(again, io.EOF) || !bytes.Equal(got, data) {
		t.Errorf("%v, %v", err, again)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// 7 and 8: a namenode that hangs ends a call in time, with an error that says that
// trying again helps; the same file system goes on when it is back.
func TestHungNamenode(t *testing.T) {
	h := newReal(t, Options{Limit: time.Second, Retry: 2 * time.Second})
	p := fresh(t, h) + "/x"
	put(t, h, p, []byte("x"))
	server(t, "kill", "nn", "STOP")
	_, err := h.Stat(t.Context(), p)
	server(t, "kill", "nn", "CONT")
	if failure.Of(err) != failure.Transient {
		t.Errorf("a hung namenode: %v", err)
	}
	check(t, h, p, []byte("x"))
}

// 7: a call waits for a namenode that comes back.
func TestNamenodeComesBack(t *testing.T) {
	h := newReal(t, Options{})
	p := fresh(t, h) + "/x"
	put(t, h, p, []byte("x"))
	server(t, "kill", "nn", "KILL")
	var wg sync.WaitGroup
	wg.Go(func() { server(t, "start") })
	check(t, h, p, []byte("x"))
	wg.Wait()
}

// 9: calls at the same time are spread over a bounded number of clients.
func TestOneCallAtATime(t *testing.T) {
	var mu sync.Mutex
	dials := 0
	h := newReal(t, Options{Clients: 3, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		dials++
		mu.Unlock()
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
	dir := fresh(t, h)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				if _, err := h.Stat(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if dials > 3 {
		t.Errorf("%d connections", dials)
	}
}

// 10: reads at once and beyond the end, across blocks.
func TestReadAtInParallelAndBeyondTheEnd(t *testing.T) {
	h := newReal(t, small(t, "64k"))
	p, data := fresh(t, h)+"/x", pattern(1<<20)
	put(t, h, p, data)
	f, err := h.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			b := make([]byte, 100<<10)
			off := g * 30000
			if n, err := f.ReadAt(b, int64(off)); err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(b[:n], data[off:min(off+len(b), len(data))]) {
				t.Errorf("at %d: %d bytes, %v", off, n, err)
			}
		})
	}
	wg.Wait()
	if n, err := f.ReadAt(make([]byte, 1), int64(len(data))); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
