package readahead_test

// Whatever is read ahead, a reader gets the file's bytes; each byte is fetched once
// where the reader goes from front to back, the memory stays under its limit and
// comes back, and what fails is asked for again by the next read.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/readahead"
)

// server keeps one file and notes what is fetched of it.
type server struct {
	data []byte
	mu   sync.Mutex
	log  []string
	fail error
	gate chan struct{} // fetches wait for it unless it is nil
}

func newServer(size int) *server {
	s := &server{data: make([]byte, size)}
	_, _ = rand.NewChaCha8([32]byte{1}).Read(s.data)
	return s
}

func (s *server) fetch(ctx context.Context, p []byte, off int64) error {
	s.mu.Lock()
	s.log = append(s.log, fmt.Sprintf("%d+%d", off, len(p)))
	fail := s.fail
	s.mu.Unlock()
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	copy(p, s.data[off:])
	return fail
}

func (s *server) open(t *testing.T, pool *readahead.Pool, tail int) *readahead.File {
	return readahead.New(t.Context(), readahead.Options{
		Size: int64(len(s.data)), Tail: s.data[len(s.data)-tail:], Fetch: s.fetch, PartBytes: 8 << 20, Pool: pool,
	})
}

func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := slices.Clone(s.log)
	slices.Sort(log)
	s.log = nil
	return log
}

func (s *server) check(t *testing.T, f *readahead.File, off, n int, fetched ...string) {
	t.Helper()
	p := make([]byte, n)
	if _, err := f.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, s.data[off:off+n]) {
		t.Errorf("read %d+%d: %v", off, n, err)
	}
	if got := s.asked(); !slices.Equal(got, fetched) {
		t.Errorf("read %d+%d fetched %q, want %q", off, n, got, fetched)
	}
}

const mb = 1 << 20

func TestAnnounced(t *testing.T) {
	s, pool := newServer(40*mb), readahead.NewPool(0)
	f := s.open(t, pool, 0)
	s.check(t, f, 40*mb-8, 8, "41877504+65536") // the tail
	s.check(t, f, 40*mb-5000, 4000)
	s.check(t, f, 5*mb, 100, "5242880+100")
	f.Prefetch(mb, mb)
	f.Prefetch(mb, mb) // known
	s.check(t, f, mb, mb, "1048576+1048576")
	s.check(t, f, mb, 10, "1048576+10") // once only
	f.Prefetch(10*mb, 20*mb)
	s.check(t, f, 9*mb, 21*mb, "10485760+8388608", "18874368+8388608", "27262976+4194304", "9437184+1048576")
	s.check(t, f, 0, 20*mb, "0+8388608", "16777216+4194304", "8388608+8388608")
	if err := f.Close(); err != nil || !errors.Is(f.Close(), fs.ErrClosed) {
		t.Error(err)
	}
	if held := pool.Held(); held > 32*mb {
		t.Errorf("%d bytes idle", held)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}

// Text is read in small pieces: two blocks are ahead of the reader.
func TestInOrder(t *testing.T) {
	s, pool := newServer(10*mb), readahead.NewPool(0)
	f := s.open(t, pool, 65536)
	var got bytes.Buffer
	if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, io.NewSectionReader(f, 0, 11*mb), make([]byte, 1000)); err != nil || !bytes.Equal(got.Bytes(), s.data) {
		t.Fatal(got.Len(), err)
	}
	want := []string{"0+1000", "1000+4194304", "4195304+4194304", "8389608+2030616"}
	if asked := s.asked(); !slices.Equal(asked, want) {
		t.Errorf("fetched %q", asked)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestLimit(t *testing.T) {
	s, pool := newServer(40*mb), readahead.NewPool(3*mb)
	s.gate = make(chan struct{})
	a, b := s.open(t, pool, 0), s.open(t, pool, 0)
	a.Prefetch(0, 2*mb)
	b.Prefetch(0, 2*mb) // no memory for it
	if held := pool.Held(); held != 2*mb {
		t.Errorf("%d bytes held", held)
	}
	close(s.gate)
	if _, err := a.ReadAt(make([]byte, 2*mb), 0); err != nil { // waits for its block
		t.Error(err)
	}
	s.check(t, b, 0, 2*mb, "0+2097152", "0+2097152")
	b.Prefetch(0, 2*mb) // what a gave back
	s.check(t, b, 0, 2*mb, "0+2097152")
	if err := errors.Join(a.Close(), b.Close()); err != nil || pool.Held() > 3*mb {
		t.Error(err, pool.Held())
	}
}

func TestFailures(t *testing.T) {
	s, pool := newServer(10*mb), readahead.NewPool(0)
	f := s.open(t, pool, 0)
	boom := errors.New("boom")
	s.fail = boom
	f.Prefetch(0, mb)
	for _, off := range []int64{0, 5 * mb, 10*mb - 1} {
		if _, err := f.ReadAt(make([]byte, 1), off); !errors.Is(err, boom) {
			t.Errorf("at %d: %v", off, err)
		}
	}
	s.fail = nil
	s.asked()
	s.check(t, f, 0, mb, "0+1048576")
	s.check(t, f, 10*mb-1, 1, "10420224+65536")
	if _, err := f.ReadAt(nil, -1); err == nil {
		t.Error("a negative offset was read")
	}
	if n, err := f.ReadAt(make([]byte, 2), 10*mb-1); n != 1 || err != io.EOF {
		t.Error(n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// Close ends what waits, and a context that is done is why a read failed.
func TestEnds(t *testing.T) {
	s, pool := newServer(10*mb), readahead.NewPool(0)
	s.gate = make(chan struct{})
	f := s.open(t, pool, 0)
	f.Prefetch(0, mb)
	failed := make(chan error)
	go func() {
		_, err := f.ReadAt(make([]byte, mb), 0)
		failed <- err
	}()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := readahead.New(ctx, readahead.Options{Size: 10 * mb, Fetch: s.fetch, PartBytes: mb, Pool: pool})
	g.Prefetch(0, mb)
	cancel()
	if _, err := g.ReadAt(make([]byte, 1), 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// Readers and announcements of one file at the same time; -race looks on.
func TestTogether(t *testing.T) {
	s, pool := newServer(20*mb), readahead.NewPool(4*mb)
	f := s.open(t, pool, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 50 {
				off, n := r.IntN(19*mb), 1+r.IntN(mb)
				if r.IntN(2) == 0 {
					f.Prefetch(int64(off), int64(n))
				}
				p := make([]byte, n)
				if _, err := f.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, s.data[off:off+n]) {
					t.Errorf("read %d+%d: %v", off, n, err)
				}
			}
		})
	}
	wg.Wait()
	if err := f.Close(); err != nil || pool.Held() > 4*mb {
		t.Error(err, pool.Held())
	}
}
