package pebblestate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/remote"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/fs"
)

// objects are the tables of one Pebble on another file system, in a directory of their own,
// and the blocks of them that are on local disk. Nobody else uses them: the markers by which
// several Pebbles share tables are nothing here, and what a table is need not be asked.
//
// As with guard the first write that fails is the end of the store. A read that fails is an
// error of who reads.
type objects struct {
	fsys  fs.FileSystem
	dir   string
	guard *guard
	local *blocks
	// ctx bounds reads and writes; the store's end ends it.
	ctx  context.Context
	stop context.CancelFunc

	reads, hits atomic.Int64 // asked of fsys; found on local disk
	mu          sync.Mutex
	known       map[string]*object
}

// object is a table.
type object struct {
	fsys fs.FileSystem
	path string
	base int64        // where it begins in the file
	size atomic.Int64 // written so far
	// referred: it is somebody else's, and never removed here.
	referred bool
	// slots are where blocks are on local disk, counted from 1; 0: they are not. It and
	// gone are guarded by blocks.mu.
	slots []int32
	gone  bool
}

func newObjects(o Options, dir string, g *guard, local *blocks) *objects {
	s := &objects{fsys: o.Remote, dir: dir, guard: g, local: local, known: map[string]*object{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// checkpoints is where tables lie that belong to checkpoints.
const checkpoints remote.Locator = "checkpoints"

// refer makes a stretch of a file a table, and names it.
func (s *objects) refer(p state.Place) string {
	name := fmt.Sprintf("%s@%d+%d", p.Name, p.Offset, p.Length)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[name] == nil { // another backend may refer to it, too
		o := &object{fsys: p.FS, path: p.Path, base: p.Offset, referred: true, slots: make([]int32, (p.Length+blockBytes-1)/blockBytes)}
		o.size.Store(p.Length)
		s.known[name] = o
	}
	return name
}

// damaged says what is damaged: of a table of a checkpoint its file.
func (s *objects) damaged(info pebble.DataCorruptionInfo) error {
	if s == nil || !info.IsRemote || info.Locator != checkpoints {
		return info.Details
	}
	o, err := s.object(strings.TrimPrefix(info.Path, "remote-"+string(checkpoints)+"://"))
	if err != nil {
		return fmt.Errorf("%s: %w: %w", info.Path, checkpoint.ErrCorrupt, info.Details)
	}
	return fmt.Errorf("state file %s, table at byte %d: %w: %w", o.path, o.base, checkpoint.ErrCorrupt, info.Details)
}

// bytes is what the tables have.
func (s *objects) bytes() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.known {
		if !o.referred {
			n += o.size.Load()
		}
	}
	return n
}

// removeFor bounds how long the removal of what a store has written may take: who sweeps
// removes the rest.
const removeFor = 30 * time.Second

// close removes everything. Pebble uses it no more.
func (s *objects) close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), removeFor)
	defer cancel()
	return errors.Join(s.local.close(), s.fsys.RemoveAll(ctx, s.dir))
}

// CreateStorage implements remote.StorageFactory.
func (s *objects) CreateStorage(remote.Locator) (remote.Storage, error) { return s, nil }

// Close implements remote.Storage; close does more.
func (s *objects) Close() error { return nil }

// marker says that a name is that of a reference to a table.
func marker(name string) bool { return strings.Contains(name, ".ref.") }

func (s *objects) object(name string) (*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.known[name]; o != nil {
		return o, nil
	}
	return nil, fs.Wrap("open", path.Join(s.dir, name), fs.ErrNotExist)
}

// ReadObject implements remote.Storage.
func (s *objects) ReadObject(_ context.Context, name string) (remote.ObjectReader, int64, error) {
	o, err := s.object(name)
	if err != nil {
		return nil, 0, err
	}
	return &objectReader{objects: s, object: o}, o.size.Load(), nil
}

// CreateObject implements remote.Storage.
func (s *objects) CreateObject(name string) (io.WriteCloser, error) {
	if marker(name) {
		return &objectWriter{objects: s}, nil
	}
	o := &object{fsys: s.fsys, path: path.Join(s.dir, name)}
	s.mu.Lock()
	s.known[name] = o
	s.mu.Unlock()
	w := &objectWriter{objects: s, object: o}
	if s.guard.err() == nil {
		var err error
		if w.file, err = s.fsys.Create(s.ctx, o.path, fs.CreateOptions{}); err != nil {
			s.guard.fail(err)
			w.file = nil
		}
	}
	return w, nil
}

// List implements remote.Storage. Pebble asks for markers only.
func (s *objects) List(string, string) ([]string, error) { return nil, nil }

// Delete implements remote.Storage. What cannot be removed goes with the directory.
func (s *objects) Delete(name string) error {
	if marker(name) {
		return nil
	}
	o, err := s.object(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.known, name)
	s.mu.Unlock()
	s.local.drop(o)
	if s.guard.err() != nil {
		return nil
	}
	if err := s.fsys.Remove(s.ctx, o.path); err != nil && !s.IsNotExistError(err) {
		s.local.log.Warn("state was not removed", "file", o.path, "error", err)
	}
	return nil
}

// Size implements remote.Storage. A Pebble that checks itself asks whether markers are there.
func (s *objects) Size(name string) (int64, error) {
	if marker(name) {
		return 0, nil
	}
	o, err := s.object(name)
	if err != nil {
		return 0, err
	}
	return o.size.Load(), nil
}

// IsNotExistError implements remote.Storage.
func (s *objects) IsNotExistError(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrChanged)
}

// objectWriter writes a table front to back; without a file what is written is thrown away:
// that of a marker, or of a store that is lost.
type objectWriter struct {
	objects *objects
	object  *object // nil: a marker
	file    fs.Writer
	block   []byte // what is not written yet
}

// Write implements io.Writer.
func (w *objectWriter) Write(p []byte) (int, error) {
	n := len(p)
	for w.file != nil && len(p) > 0 {
		part := min(blockBytes-len(w.block), len(p))
		w.block = append(w.block, p[:part]...)
		p = p[part:]
		if len(w.block) == blockBytes {
			w.flush()
		}
	}
	return n, nil
}

// flush writes a block, and keeps it on local disk.
func (w *objectWriter) flush() {
	if w.file == nil || len(w.block) == 0 {
		return
	}
	if _, err := w.file.Write(w.block); err != nil {
		w.end(err)
		return
	}
	at := w.object.size.Load()
	w.objects.local.put(w.object, int32(at/blockBytes), w.block)
	w.object.size.Store(at + int64(len(w.block)))
	w.objects.guard.written.Add(int64(len(w.block)))
	w.block = w.block[:0]
}

// end drops a table that could not be written, and with it the store.
func (w *objectWriter) end(err error) {
	w.objects.guard.fail(err)
	_ = w.file.Abort(context.WithoutCancel(w.objects.ctx))
	w.file = nil
}

// Close implements io.Closer.
func (w *objectWriter) Close() error {
	w.flush()
	if w.file != nil {
		if err := w.file.Commit(w.objects.ctx); err != nil {
			w.end(err)
		}
	}
	w.file, w.block = nil, nil
	return nil
}

// objectReader reads a table, opened when something is not on local disk.
type objectReader struct {
	objects *objects
	object  *object

	mu   sync.Mutex
	file fs.File // nil: not opened
}

// longRead is what nobody asks for but compactions and scans, which ask once: it is not kept.
const longRead = 8 * blockBytes

// ReadAt implements remote.ObjectReader.
func (r *objectReader) ReadAt(_ context.Context, p []byte, at int64) error {
	s, size := r.objects, r.object.size.Load()
	if at < 0 || at+int64(len(p)) > size {
		return fs.Wrap("read", r.object.path, io.ErrUnexpectedEOF)
	}
	if s.local.read(r.object, p, at) {
		s.hits.Add(1)
		return nil
	}
	file, err := r.open()
	if err != nil {
		return err
	}
	s.reads.Add(1)
	if len(p) > longRead {
		return r.fetch(file, p, at)
	}
	first := at / blockBytes
	end := min((at+int64(len(p))+blockBytes-1)/blockBytes*blockBytes, size)
	all := make([]byte, end-first*blockBytes)
	if err := r.fetch(file, all, first*blockBytes); err != nil {
		return err
	}
	copy(p, all[at-first*blockBytes:])
	for i := first; len(all) > 0; i++ {
		n := min(len(all), blockBytes)
		s.local.put(r.object, int32(i), all[:n])
		all = all[n:]
	}
	return nil
}

func (r *objectReader) fetch(file fs.File, p []byte, at int64) error {
	n, err := file.ReadAt(p, r.object.base+at)
	r.objects.guard.read.Add(int64(n))
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fs.Wrap("read", r.object.path, io.ErrUnexpectedEOF)
	}
	return err
}

func (r *objectReader) open() (fs.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		file, err := r.object.fsys.Open(r.objects.ctx, r.object.path)
		if err != nil {
			return nil, err
		}
		r.file = file
	}
	return r.file, nil
}

// Close implements remote.ObjectReader.
func (r *objectReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

var (
	_ remote.StorageFactory = (*objects)(nil)
	_ remote.Storage        = (*objects)(nil)
	_ remote.ObjectReader   = (*objectReader)(nil)
)
