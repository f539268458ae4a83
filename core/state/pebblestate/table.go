package pebblestate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
)

// tableFormat is that of the tables in checkpoints, which later versions read: it changes with
// the version of state files (core/checkpoint/storage) alone.
const tableFormat = sstable.TableFormatPebblev5

// mergerName is in all tables, and in their Pebbles.
const mergerName = "tidemill.state.1"

// merger puts operands of a key together (memstate.Merge).
func merger() *pebble.Merger {
	return &pebble.Merger{Name: mergerName, Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		return &merging{older: [][]byte{slices.Clone(value)}}, nil
	}}
}

// merging is the operands of one key.
type merging struct{ older, newer [][]byte } // older: newest first

// MergeNewer implements pebble.ValueMerger.
func (m *merging) MergeNewer(value []byte) error {
	m.newer = append(m.newer, slices.Clone(value))
	return nil
}

// MergeOlder implements pebble.ValueMerger.
func (m *merging) MergeOlder(value []byte) error {
	m.older = append(m.older, slices.Clone(value))
	return nil
}

// Finish implements pebble.ValueMerger.
func (m *merging) Finish(all bool) ([]byte, io.Closer, error) {
	value, _, closer, err := m.DeletableFinish(all)
	return value, closer, err
}

// DeletableFinish implements pebble.DeletableValueMerger.
func (m *merging) DeletableFinish(all bool) ([]byte, bool, io.Closer, error) {
	slices.Reverse(m.older)
	value, err := memstate.Merge(append(m.older, m.newer...), all)
	return value, value == nil, nil, err
}

// WriteTable writes a sorted piece of a kind, of a table with lists or without, as a table
// that a Pebble of a home can refer to.
func WriteTable(to io.Writer, s *memstate.Sorted, k state.Kind, lists bool) error {
	level := levelOptions()
	w := sstable.NewWriter(&writable{to}, sstable.WriterOptions{
		TableFormat: tableFormat, MergerName: mergerName, BlockSize: level.BlockSize, IndexBlockSize: level.IndexBlockSize,
		FilterPolicy: level.FilterPolicy, Compression: level.Compression(),
	})
	put := w.Set
	switch {
	case k == state.RemoveKey:
		put = func(key, _ []byte) error { return w.Delete(key) }
	case k == state.RemoveRow || k == state.PutRow || lists:
		put = w.Merge
	}
	err := s.Each(put)
	if closed := w.Close(); err == nil {
		err = closed
	}
	return err
}

// writable is an io.Writer as Pebble has it.
type writable struct{ to io.Writer }

// Write implements objstorage.Writable.
func (w *writable) Write(p []byte) error {
	_, err := w.to.Write(p)
	return err
}

// Finish implements objstorage.Writable.
func (w *writable) Finish() error { return nil }

// Abort implements objstorage.Writable.
func (w *writable) Abort() {}

// ReadTable hands out the entries of what WriteTable wrote. Damage is checkpoint.ErrCorrupt.
func ReadTable(data []byte, do func(key, value []byte) error) (err error) {
	damaged := func(err error) error {
		if err == nil {
			return nil
		}
		return failure.Errorf(failure.BadData, "%w: %w", checkpoint.ErrCorrupt, err)
	}
	r, err := sstable.NewMemReader(data, sstable.ReaderOptions{Merger: merger()})
	if err != nil {
		return damaged(err)
	}
	defer func() {
		if closed := r.Close(); err == nil {
			err = damaged(closed)
		}
	}()
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return damaged(err)
	}
	defer func() {
		if closed := it.Close(); err == nil {
			err = damaged(closed)
		}
	}()
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return damaged(err)
		}
		if err := do(kv.K.UserKey, value); err != nil {
			return err
		}
	}
	return damaged(it.Error())
}

// Refers implements memstate.Referrer.
func (s *store) Refers() bool { return s.home.opts.Remote != nil }

// Refer implements memstate.Referrer.
func (s *store) Refer(ctx context.Context, rounds [][]memstate.Reference) error {
	if err := s.open(); err != nil {
		return err
	}
	s.db.recent.replaced(s.prefix)
	for _, round := range rounds {
		for _, files := range s.apart(round) {
			if _, err := s.db.pebble.IngestExternalFiles(ctx, files); err != nil {
				return s.wrap(fmt.Errorf("refer to %d files: %w", len(files), err))
			}
		}
	}
	return s.wrap(nil)
}

// apart makes of the references of a round ingestions, in none of which files overlap: each
// file goes into the first one that has room for it.
func (s *store) apart(round []memstate.Reference) (out [][]pebble.ExternalFile) {
	var all []pebble.ExternalFile
	for _, r := range round {
		name := s.db.objects.refer(r.Place)
		if s.referred == nil {
			s.referred = map[string]string{}
		}
		s.referred[name] = r.Place.Name
		for _, k := range r.Ranges {
			all = append(all, pebble.ExternalFile{
				Locator: checkpoints, ObjName: name, Size: uint64(r.Place.Length), HasPointKey: true, SyntheticPrefix: slices.Clone(s.prefix[:]),
				StartKey: slices.Concat(s.prefix[:], k.From), EndKey: slices.Concat(s.prefix[:], k.To),
			})
		}
	}
	slices.SortFunc(all, func(a, b pebble.ExternalFile) int { return bytes.Compare(a.StartKey, b.StartKey) })
	for _, f := range all {
		i := slices.IndexFunc(out, func(files []pebble.ExternalFile) bool {
			return bytes.Compare(files[len(files)-1].EndKey, f.StartKey) <= 0
		})
		if i < 0 {
			out = append(out, nil)
			i = len(out) - 1
		}
		out[i] = append(out[i], f)
	}
	return out
}

// Referred implements memstate.Referrer.
func (s *store) Referred() (files []string) {
	if s.db == nil || len(s.referred) == 0 {
		return nil
	}
	live := map[string]bool{}
	for _, o := range s.db.pebble.ObjProvider().List() {
		if o.Remote.CustomObjectName != "" {
			live[o.Remote.CustomObjectName] = true
		}
	}
	for name, file := range s.referred {
		if !live[name] {
			delete(s.referred, name)
			continue
		}
		files = append(files, file)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

var (
	_ memstate.Referrer           = (*store)(nil)
	_ pebble.DeletableValueMerger = (*merging)(nil)
)
