package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/fs"
)

// addSorted is add of a piece as sorted tables. Namespaces that are dropped are no keys of a
// table: they stay what they were.
func (w *stateWriter) addSorted(ctx context.Context, p state.Piece) error {
	if p.Kind == state.DropSpace || p.Rows.NumRows() == 0 {
		return w.add(ctx, p)
	}
	all, err := memstate.Sort(p)
	if err != nil {
		return fmt.Errorf("sort rows of state table %s: %w", p.Table.Name, err)
	}
	text, err := describe(p.Table)
	if err != nil {
		return err
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	for _, s := range all {
		w.chunk.Reset()
		w.chunk.Write(text)
		if err := pebblestate.WriteTable(&w.chunk, s, p.Kind, len(p.Table.List) > 0); err != nil {
			return fmt.Errorf("encode state table %s: %w", p.Table.Name, err)
		}
		h := w.handle(p)
		h.Rows = 0
		for _, n := range s.Counts {
			h.Rows += n
		}
		h.Described, h.First, h.Last = uint32(len(text)), s.First, s.Last
		h.Spaces, h.Counts, h.Sequence = s.Spaces, s.Counts, s.Sequence
		if err := w.write(h); err != nil {
			return err
		}
	}
	return nil
}

// readSorted reads a sorted table as rows.
func (s *Store) readSorted(data []byte, h *checkpoint.Handle) (p state.Piece, err error) {
	n := int(h.GetDescribed())
	if n > len(data) {
		return p, fmt.Errorf("%w: a description of %d bytes in %d", checkpoint.ErrCorrupt, n, len(data))
	}
	p.Kind, p.Groups = state.Kind(h.GetKind()), h.Groups()
	if p.Table, err = tableIn(data[:n]); err != nil {
		return p, err
	}
	rows := memstate.Unsort(p.Table, p.Kind)
	if err := pebblestate.ReadTable(data[n:], rows.Add); err != nil {
		return p, err
	}
	p.Rows, err = rows.Rows(s.mem)
	return p, err
}

// adopt gives a chain to a backend that goes on with it where it lies, if it can: all of it is
// sorted tables of the job's own state files, which nobody removes as long as they are read.
func (s *Store) adopt(ctx context.Context, chain checkpoint.Chain, groups int, into state.Backend) (bool, error) {
	to, ok := into.(state.Adopter)
	if !ok || len(chain.Handles) == 0 || slices.ContainsFunc(chain.Handles, func(h *checkpoint.Handle) bool {
		return h.GetKind() != uint32(state.DropSpace) && h.GetDescribed() == 0 || !s.own(h.GetPath())
	}) {
		return false, nil
	}
	pieces, tables, stale := make([]state.Stored, len(chain.Handles)), map[uint32]state.TableSpec{}, []bool(nil)
	for i, h := range chain.Handles {
		if i == 0 || h.Snapshot != chain.Handles[i-1].Snapshot {
			stale = chain.Stale(h.Snapshot, groups)
		}
		one, err := s.stored(ctx, h, tables)
		if err != nil {
			return false, fmt.Errorf("restore state file %s, byte %d: %w", h.GetPath(), h.GetOffset(), err)
		}
		one.Stale = stale
		pieces[i] = one
	}
	return to.Adopt(ctx, pieces)
}

// own says that a file lies with the state files of a job of this store.
func (s *Store) own(name string) bool {
	dir := path.Dir(name)
	job, err := id.ParseJob(path.Base(path.Dir(dir)))
	return err == nil && dir == s.stateDir(job)
}

// stored is a piece where it lies. Little is read: what tables there are, once each, and which
// namespaces were dropped.
func (s *Store) stored(ctx context.Context, h *checkpoint.Handle, tables map[uint32]state.TableSpec) (state.Stored, error) {
	out := state.Stored{Kind: state.Kind(h.GetKind()), Groups: h.Groups(), Snapshot: h.GetSnapshot()}
	spec, known := tables[h.GetTable()]
	if h.GetKind() == uint32(state.DropSpace) || !known {
		f, err := s.openState(ctx, h.GetPath())
		if err != nil {
			return out, err
		}
		defer f.Close()
		if h.GetKind() == uint32(state.DropSpace) {
			p, err := s.readChunk(f, h)
			if err != nil {
				return out, err
			}
			defer p.Rows.Release()
			out.Table = p.Table
			out.Spaces = slices.Clone(p.Rows.Column(0).(*array.Int64).Int64Values())
			slices.Sort(out.Spaces)
			return out, nil
		}
		if spec, err = readTable(f, h); err != nil {
			return out, err
		}
		tables[h.GetTable()] = spec
	}
	out.Table, out.First, out.Last = spec, h.GetFirst(), h.GetLast()
	out.Spaces, out.Counts, out.Sequence = h.GetSpaces(), h.GetCounts(), h.GetSequence()
	if len(out.Spaces) != len(out.Counts) || h.Groups().Len() <= 0 {
		return out, fmt.Errorf("%w: a handle of %d namespaces and %d counts, groups %v", checkpoint.ErrCorrupt, len(out.Spaces), len(out.Counts), h.Groups())
	}
	_, name := path.Split(h.GetPath())
	described := int64(h.GetDescribed())
	out.Place = state.Place{FS: s.fsys, Path: h.GetPath(), Name: name, Offset: h.GetOffset() + described, Length: h.GetLength() - described}
	return out, nil
}

// readTable reads of what table a sorted one is.
func readTable(f fs.File, h *checkpoint.Handle) (t state.TableSpec, err error) {
	if h.GetOffset() < headerBytes || int64(h.GetDescribed()) >= h.GetLength() || h.GetLength() > f.Size()-h.GetOffset() {
		return t, fmt.Errorf("%w: %d bytes of a file of %d", checkpoint.ErrCorrupt, h.GetLength(), f.Size())
	}
	text := make([]byte, h.GetDescribed())
	if _, err := f.ReadAt(text, h.GetOffset()); err != nil && !errors.Is(err, io.EOF) {
		return t, err
	}
	return tableIn(text)
}

// eachFile visits the state files that subtasks read besides those that handles name.
func eachFile(m *checkpoint.Manifest, visit func(name string)) {
	for _, v := range m.GetVertices() {
		for _, t := range v.GetSubtasks() {
			for _, name := range t.GetFiles() {
				if !strings.Contains(name, "/") {
					visit(name)
				}
			}
		}
	}
}
