package storage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/fs"
)

// The versions of state files. A reader knows all of them.
const (
	version1       = 1 // rows of tables without lists, all of a snapshot
	version2       = 2 // pieces of snapshots of changes
	version3       = 3 // some of which are sorted tables
	currentVersion = version3
)

const (
	magic        = "TMST"
	headerBytes  = 16
	manifestName = "MANIFEST"
)

// maxManifestBytes bounds what Load reads.
const maxManifestBytes = 1 << 30

// Store keeps the checkpoints of jobs below one directory. All methods may be
// called concurrently for different names.
type Store struct {
	fsys fs.FileSystem
	dir  string
	mem  memory.Allocator
	// scheme is that of dir; others finds files of other ones.
	scheme string
	others *fs.Registry
	// homes is where tasks keep state besides, below homesDir; nil: nowhere.
	homes    fs.FileSystem
	homesDir string
	sorted   bool // pieces are written as sorted tables, for backends that adopt them
}

// New returns a store that keeps its files below dir; what it reads is allocated
// from mem.
func New(fsys fs.FileSystem, dir string, mem memory.Allocator) *Store {
	return &Store{fsys: fsys, dir: dir, mem: mem, scheme: fs.DefaultScheme}
}

// Dir is where a checkpoint's files lie.
func (s *Store) Dir(job id.Job, c id.Checkpoint) string {
	return path.Join(s.dir, job.String(), fmt.Sprintf("chk-%d", c))
}

// stateDir is where a job's state files lie: later checkpoints name them, too.
func (s *Store) stateDir(job id.Job) string { return path.Join(s.dir, job.String(), "state") }

// Write stores a snapshot under a name that is unique in the checkpoint and
// returns its handles. Without rows there is no file.
func (s *Store) Write(ctx context.Context, job id.Job, c id.Checkpoint, name string, snapshot state.Snapshot) ([]*checkpoint.Handle, error) {
	w := &stateWriter{store: s, path: path.Join(s.stateDir(job), fmt.Sprintf("%d-%s.state", c, name)), version: version2, checkpoint: c}
	defer w.abort(ctx)
	if err := failpoint.Hit(failpoint.CheckpointState); err != nil {
		return nil, err
	}
	add := w.add
	if s.sorted {
		w.version, add = version3, w.addSorted
	}
	err := snapshot.Write(ctx, func(p state.Piece) error { return add(ctx, p) })
	if err == nil {
		err = w.commit(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("write state file %s: %w", w.path, err)
	}
	return w.handles, nil
}

// stateWriter writes one state file.
type stateWriter struct {
	store      *Store
	path       string
	version    uint32
	checkpoint id.Checkpoint
	file       fs.Writer // nil: nothing written yet
	offset     int64
	handles    []*checkpoint.Handle
	chunk      bytes.Buffer
}

func (w *stateWriter) add(ctx context.Context, p state.Piece) error {
	if p.Rows.NumRows() == 0 {
		return nil
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	w.chunk.Reset()
	if err := encodeChunk(&w.chunk, p); err != nil {
		return err
	}
	return w.write(w.handle(p))
}

// handle names a piece.
func (w *stateWriter) handle(p state.Piece) *checkpoint.Handle {
	return &checkpoint.Handle{
		FirstGroup: uint32(p.Groups.First), LastGroup: uint32(p.Groups.Last), Table: uint32(p.Table.ID), Rows: uint64(p.Rows.NumRows()),
		Kind: uint32(p.Kind),
	}
}

// write writes what is in chunk, and makes h name it.
func (w *stateWriter) write(h *checkpoint.Handle) error {
	h.Path, h.Offset, h.Length, h.Crc32C = w.path, w.offset, int64(w.chunk.Len()), checkpoint.Checksum(w.chunk.Bytes())
	if _, err := w.file.Write(w.chunk.Bytes()); err != nil {
		return err
	}
	w.offset += h.Length
	w.handles = append(w.handles, h)
	runtime.Gosched() // tasks with rows at hand come first
	return nil
}

func (w *stateWriter) open(ctx context.Context) (err error) {
	if w.file != nil {
		return nil
	}
	if w.file, err = w.store.fsys.Create(ctx, w.path, fs.CreateOptions{}); err != nil {
		return err
	}
	header := make([]byte, headerBytes)
	copy(header, magic)
	binary.LittleEndian.PutUint32(header[4:], w.version)
	binary.LittleEndian.PutUint64(header[8:], uint64(w.checkpoint))
	w.offset = headerBytes
	_, err = w.file.Write(header)
	return err
}

func (w *stateWriter) commit(ctx context.Context) error {
	if w.file == nil {
		return nil
	}
	return w.file.Commit(ctx)
}

// abort drops a file that was not committed.
func (w *stateWriter) abort(ctx context.Context) {
	if w.file != nil {
		_ = w.file.Abort(context.WithoutCancel(ctx))
	}
}

// open opens a file by its path, or by a URI (Locate).
func (s *Store) open(ctx context.Context, name string) (fs.File, error) {
	fsys := s.fsys
	if scheme, _ := fs.SplitURI(name); scheme != "" && s.others != nil {
		var err error
		if fsys, name, err = s.others.Resolve(name); err != nil {
			return nil, err
		}
	}
	return fsys.Open(ctx, name)
}

// Locate returns a manifest that names files by URIs: stores on any file system read them.
func (s *Store) Locate(m *checkpoint.Manifest) *checkpoint.Manifest {
	m = proto.CloneOf(m)
	checkpoint.EachHandle(m, func(h *checkpoint.Handle) {
		if scheme, _ := fs.SplitURI(h.Path); scheme == "" {
			h.Path = s.scheme + "://" + h.Path
		}
	})
	return m
}

func (s *Store) openState(ctx context.Context, name string) (fs.File, error) {
	f, err := s.open(ctx, name)
	if err != nil {
		return nil, err
	}
	header := make([]byte, headerBytes)
	_, err = f.ReadAt(header, 0)
	switch v := binary.LittleEndian.Uint32(header[4:]); {
	case err != nil && !errors.Is(err, io.EOF):
	case err != nil || string(header[:4]) != magic:
		err = fmt.Errorf("%w: not a state file", checkpoint.ErrCorrupt)
	case v < version1 || v > currentVersion:
		err = failure.Errorf(failure.Fatal, "state file of version %d: this program reads up to version %d", v, currentVersion)
	default:
		return f, nil
	}
	_ = f.Close()
	return nil, err
}

// readChunk reads a piece, whose rows the caller releases.
func (s *Store) readChunk(f fs.File, h *checkpoint.Handle) (p state.Piece, err error) {
	data := memory.NewResizableBuffer(s.mem)
	defer data.Release()
	if err := readPiece(f, h, data); err != nil {
		return p, err
	}
	if h.GetDescribed() > 0 {
		return s.readSorted(data.Bytes(), h)
	}
	p, err = decodeChunk(data, s.mem)
	p.Groups = h.Groups()
	return p, err
}

// Save writes a manifest, whose handles have whole paths, beside its state
// files, and returns where it lies. That it exists does not make the checkpoint
// complete: the job master's record of it does.
func (s *Store) Save(ctx context.Context, m *checkpoint.Manifest) (string, error) {
	var job id.Job
	copy(job[:], m.Job)
	name := path.Join(s.Dir(job, id.Checkpoint(m.Checkpoint)), manifestName)
	m = proto.CloneOf(m)
	beside := s.stateDir(job) + "/"
	checkpoint.EachHandle(m, func(h *checkpoint.Handle) {
		if inside, ok := strings.CutPrefix(h.Path, beside); ok {
			h.Path = "../state/" + inside
		}
	})
	data, err := checkpoint.Encode(m)
	if err != nil {
		return "", err
	}
	w, err := s.fsys.Create(ctx, name, fs.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("write manifest %s: %w", name, err)
	}
	defer func() { _ = w.Abort(context.WithoutCancel(ctx)) }()
	if _, err = w.Write(data); err == nil {
		err = w.Commit(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("write manifest %s: %w", name, err)
	}
	return name, nil
}

// Load reads the manifest at name; its handles get whole paths.
func (s *Store) Load(ctx context.Context, name string) (*checkpoint.Manifest, error) {
	data, err := s.readAll(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", name, err)
	}
	m, err := checkpoint.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", name, err)
	}
	checkpoint.EachHandle(m, func(h *checkpoint.Handle) {
		if !path.IsAbs(h.Path) && !strings.HasPrefix(h.Path, s.dir+"/") {
			h.Path = path.Join(path.Dir(name), h.Path)
		}
	})
	return m, nil
}

func (s *Store) readAll(ctx context.Context, name string) ([]byte, error) {
	f, err := s.fsys.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxManifestBytes {
		return nil, fmt.Errorf("%w: %d bytes", checkpoint.ErrCorrupt, f.Size())
	}
	data := make([]byte, f.Size())
	if _, err := f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

// Drop removes a checkpoint's manifest. None there is no error.
func (s *Store) Drop(ctx context.Context, job id.Job, c id.Checkpoint) error {
	if err := s.fsys.RemoveAll(ctx, s.Dir(job, c)); err != nil {
		return fmt.Errorf("drop checkpoint %d: %w", c, err)
	}
	return nil
}

// Checkpoints lists the numbers of a job's manifests, complete or not, in no order.
func (s *Store) Checkpoints(ctx context.Context, job id.Job) (all []id.Checkpoint, err error) {
	dir := path.Join(s.dir, job.String())
	err = s.fsys.List(ctx, dir, fs.ListOptions{}, func(i fs.Info) error {
		var n uint64
		if _, err := fmt.Sscanf(i.Name(), "chk-%d", &n); err == nil {
			all = append(all, id.Checkpoint(n))
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list checkpoints in %s: %w", dir, err)
	}
	return all, nil
}

// DropJob removes everything of a job. None there is no error.
func (s *Store) DropJob(ctx context.Context, job id.Job) error {
	return errors.Join(s.fsys.RemoveAll(ctx, path.Join(s.dir, job.String())), s.DropHomes(ctx, job))
}

// Verify reads every piece of state that a manifest names, by whole paths, and compares its
// checksum. Damage is ErrCorrupt, and named.
func (s *Store) Verify(ctx context.Context, m *checkpoint.Manifest) error {
	files := map[string]fs.File{}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	data := memory.NewResizableBuffer(s.mem)
	defer data.Release()
	seen := map[string]bool{}
	var failed error
	checkpoint.EachHandle(m, func(h *checkpoint.Handle) {
		key := fmt.Sprintf("%s@%d", h.Path, h.Offset)
		if failed != nil || seen[key] {
			return
		}
		seen[key] = true
		f := files[h.Path]
		if f == nil {
			if f, failed = s.open(ctx, h.Path); failed != nil {
				return
			}
			files[h.Path] = f
		}
		if err := readPiece(f, h, data); err != nil {
			failed = fmt.Errorf("state file %s, byte %d: %w", h.Path, h.Offset, err)
		}
	})
	return failed
}

// Sweep removes the job's state files that were written for checkpoints up to the
// newest of the complete ones that are kept, and that none of those names: who writes
// a later checkpoint builds on what one of them has, or begins anew; who reads a file besides
// says so (SubtaskState.Files). So it does with homes that were opened before.
func (s *Store) Sweep(ctx context.Context, job id.Job, keep []*checkpoint.Manifest) error {
	named, newest := map[string]bool{}, uint64(0)
	for _, m := range keep {
		checkpoint.EachHandle(m, func(h *checkpoint.Handle) { named[h.Path] = true })
		eachFile(m, func(name string) { named[path.Join(s.stateDir(job), name)] = true })
		newest = max(newest, m.Checkpoint)
	}
	var gone []string
	err := s.fsys.List(ctx, s.stateDir(job), fs.ListOptions{Staged: true}, func(i fs.Info) error {
		n, _, _ := strings.Cut(i.Name(), "-")
		if c, err := strconv.ParseUint(n, 10, 64); err == nil && c <= newest && !named[i.Path] {
			gone = append(gone, i.Path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sweep state files: %w", err)
	}
	for _, name := range gone {
		if err := s.fsys.Remove(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep state files: %w", err)
		}
	}
	return s.sweepHomes(ctx, job, keep)
}
