package pebblestate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/state/statetest"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// adopting is a backend that goes on with pieces where they lie: what it is to restore it
// writes as sorted tables, and adopts them when it is used.
type adopting struct {
	*memstate.Backend
	files   fs.FileSystem
	written *int // files
	pieces  []state.Stored
	number  uint32 // of the snapshot
	latest  []bool // stale of the piece before
	opened  bool
}

const before = "what comes before"

// store writes pieces as tables behind something else.
func store(fsys fs.FileSystem, name string, p state.Piece, s *memstate.Sorted) (state.Stored, error) {
	var b bytes.Buffer
	b.WriteString(before)
	if err := pebblestate.WriteTable(&b, s, p.Kind, len(p.Table.List) > 0); err != nil {
		return state.Stored{}, err
	}
	n := b.Len() - len(before)
	b.WriteString("what comes after")
	return state.Stored{
		Table: p.Table, Kind: p.Kind, Groups: p.Groups, Spaces: s.Spaces, Counts: s.Counts, Sequence: s.Sequence, First: s.First, Last: s.Last,
		Place: state.Place{FS: fsys, Path: name, Name: name, Offset: int64(len(before)), Length: int64(n)},
	}, fs.WriteFile(context.Background(), fsys, name, b.Bytes(), fs.CreateOptions{})
}

// Restore implements state.Backend.
func (a *adopting) Restore(p state.Piece, stale []bool) error {
	if a.opened {
		return a.Backend.Restore(p, stale)
	}
	if len(a.latest) == 0 || len(stale) == 0 || &a.latest[0] != &stale[0] {
		a.number, a.latest = a.number+1, stale
	}
	if p.Kind == state.DropSpace {
		spaces := slices.Clone(p.Rows.Column(0).(*array.Int64).Int64Values())
		a.pieces = append(a.pieces, state.Stored{Table: p.Table, Kind: p.Kind, Groups: p.Groups, Snapshot: a.number, Spaces: spaces})
		return nil
	}
	all, err := memstate.Sort(p)
	if err != nil {
		return err
	}
	for _, s := range all {
		*a.written++
		one, err := store(a.files, fmt.Sprintf("job/state/%d.state", *a.written), p, s)
		if err != nil {
			return err
		}
		one.Snapshot, one.Stale = a.number, stale
		a.pieces = append(a.pieces, one)
	}
	return nil
}

// Forget implements state.Forgetter: nothing of those groups is adopted.
func (a *adopting) Forget(gone []bool) error {
	for i := range a.pieces {
		stale := slices.Clone(gone)
		for g, was := range a.pieces[i].Stale {
			stale[g] = stale[g] || was
		}
		a.pieces[i].Stale = stale
	}
	return nil
}

// Stage implements state.Stager: nothing is done ahead.
func (a *adopting) Stage(p state.Piece, stale []bool) func() error {
	return func() error { return a.Restore(p, stale) }
}

func (a *adopting) open() error {
	if a.opened {
		return nil
	}
	a.opened = true
	if len(a.pieces) == 0 {
		return nil
	}
	ok, err := a.Backend.Adopt(context.Background(), a.pieces)
	if err == nil && !ok {
		err = fmt.Errorf("%d pieces were not adopted", len(a.pieces))
	}
	return err
}

// Table implements state.Backend.
func (a *adopting) Table(s state.TableSpec) (state.Table, error) {
	if err := a.open(); err != nil {
		return nil, err
	}
	return a.Backend.Table(s)
}

// Snapshot implements state.Backend.
func (a *adopting) Snapshot(s state.Scope) (state.Snapshot, error) {
	if err := a.open(); err != nil {
		return nil, err
	}
	return a.Backend.Snapshot(s)
}

// TestAdoptConformance runs the suite with everything that is restored adopted: histories of
// what was written, removed and dropped between snapshots, by ranges of groups.
func TestAdoptConformance(t *testing.T) {
	remote := memfs.New(memfs.Options{})
	h, err := pebblestate.Open(remoteOptions(remote))
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	statetest.Run(t, func(owned keygroup.Range, alloc memory.Allocator, account stream.Account) (state.Backend, error) {
		b, _, err := h.NewAt(7, statetest.Groups, owned, alloc, account, 0)
		return &adopting{Backend: b, files: remote, written: &written}, err
	})
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if written < 1000 {
		t.Errorf("%d tables were written", written)
	}
	if left := homes(t, remote); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	goleak.VerifyNone(t)
}

// rereading is a backend in memory that restores what was written as sorted tables.
type rereading struct{ *memstate.Backend }

// Stage implements state.Stager: nothing is done ahead.
func (r rereading) Stage(p state.Piece, stale []bool) func() error {
	return func() error { return r.Restore(p, stale) }
}

// Restore implements state.Backend.
func (r rereading) Restore(p state.Piece, stale []bool) error {
	if p.Kind == state.DropSpace {
		return r.Backend.Restore(p, stale)
	}
	all, err := memstate.Sort(p)
	if err != nil {
		return err
	}
	for _, s := range all {
		var b bytes.Buffer
		if err := pebblestate.WriteTable(&b, s, p.Kind, len(p.Table.List) > 0); err != nil {
			return err
		}
		rows := memstate.Unsort(p.Table, p.Kind)
		if err := pebblestate.ReadTable(b.Bytes(), rows.Add); err != nil {
			return err
		}
		if p.Rows, err = rows.Rows(memory.DefaultAllocator); err != nil {
			return err
		}
		err := r.Backend.Restore(p, stale)
		p.Rows.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// TestRereadConformance runs the suite in memory, with everything that is restored read from
// sorted tables: a job may go on with another kind of state.
func TestRereadConformance(t *testing.T) {
	statetest.Run(t, func(owned keygroup.Range, alloc memory.Allocator, account stream.Account) (state.Backend, error) {
		return rereading{memstate.New(statetest.Groups, owned, alloc, account)}, nil
	})
}

// tables are 20,000 sums, written as sorted tables of which each is in a file.
func tables(t *testing.T, fsys fs.FileSystem) (out []state.Stored) {
	t.Helper()
	b := memstate.New(64, all(), memory.DefaultAllocator, &account{})
	_, err := fill(b, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Snapshot(state.Everything)
	if err == nil {
		err = state.Complete(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = s.Write(t.Context(), func(p state.Piece) error {
		sorted, err := memstate.Sort(p)
		for _, one := range sorted {
			stored, failed := store(fsys, fmt.Sprintf("job/state/%d.state", len(out)), p, one)
			out, err = append(out, stored), errors.Join(err, failed)
		}
		return err
	})
	s.Release()
	if err := errors.Join(err, b.Close()); err != nil || len(out) < 3 {
		t.Fatalf("%d tables, %v", len(out), err)
	}
	return out
}

// goOn asks for all keys of adopted sums, in each of which 1 was counted.
func goOn(b *memstate.Backend) error {
	table, err := b.Table(sums)
	if err != nil {
		return err
	}
	rows, err := table.Namespace(0)
	for from := int64(0); from < 20_000 && err == nil; from += 1000 {
		err = update(b, rows, from)
	}
	if err != nil {
		return err
	}
	keys := 0
	err = rows.Each(func(v state.View, from, to int) error {
		for _, n := range v.Values()[0].Int64[from:to] {
			if keys++; n != 2 {
				return fmt.Errorf("a sum is %d, want 2", n)
			}
		}
		return nil
	})
	if err == nil && keys != 20_000 {
		err = fmt.Errorf("%d keys, want 20,000", keys)
	}
	return err
}

// Files of a checkpoint that cannot be read, are gone or are damaged are errors that name
// them, of who asks for their keys. Whoever adopts them once they are well has all of them.
func TestAdoptFails(t *testing.T) {
	for name, c := range map[string]struct {
		rule faultfs.Rule
		want error
	}{
		"read":    {faultfs.Rule{Op: faultfs.Read, Err: syscall.EIO}, syscall.EIO},
		"open":    {faultfs.Rule{Op: faultfs.Open, Err: syscall.EIO}, syscall.EIO},
		"removed": {faultfs.Rule{Op: faultfs.Open, Err: fs.ErrNotExist}, fs.ErrNotExist},
		"damaged": {want: checkpoint.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := faultfs.New(memfs.New(memfs.Options{}))
			pieces := tables(t, faulty)
			spoil := pieces[1].Place
			good, err := fs.ReadFile(t.Context(), faulty, spoil.Path, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if c.rule.Op != faultfs.Invalid {
				c.rule.Path = spoil.Path
				faulty.Inject(c.rule)
			} else {
				bad := bytes.Clone(good)
				bad[spoil.Offset+1000] ^= 4
				if err := fs.WriteFile(t.Context(), faulty, spoil.Path, bad, fs.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			h, err := pebblestate.Open(remoteOptions(faulty))
			if err != nil {
				t.Fatal(err)
			}
			adopt := func() error {
				b, _, err := h.NewAt(1, 64, all(), memory.DefaultAllocator, &account{}, 0)
				if err != nil {
					t.Fatal(err)
				}
				ok, err := b.Adopt(t.Context(), pieces)
				if err != nil || !ok {
					t.Fatal(ok, err)
				}
				if have := b.Adopted(); len(have) != len(pieces) || !slices.Contains(have, spoil.Name) {
					t.Errorf("it reads %v", have)
				}
				err = goOn(b)
				_ = b.Close() // it may say the same again
				return err
			}
			if err := adopt(); !errors.Is(err, c.want) || !strings.Contains(err.Error(), spoil.Path) {
				t.Errorf("got %v (%v), want %v of %s", err, failure.Of(err), c.want, spoil.Path)
			}
			faulty.Heal()
			if err := fs.WriteFile(t.Context(), faulty, spoil.Path, good, fs.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := adopt(); err != nil {
				t.Errorf("with files that are well: %v", err)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	goleak.VerifyNone(t)
}

// What is no sorted table is damage, wherever a byte is changed or the end is missing: an
// error, never a panic, or the entries as they were.
func TestReadTableDamaged(t *testing.T) {
	fsys := memfs.New(memfs.Options{})
	place := tables(t, fsys)[0].Place
	data, err := fs.ReadFile(t.Context(), fsys, place.Path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	data = data[place.Offset:][:place.Length]
	for at := 0; at < len(data); at += 4999 {
		bad := bytes.Clone(data)
		bad[at] ^= 1 << (at % 8)
		for _, b := range [][]byte{bad, data[:at]} {
			rows := memstate.Unsort(sums, state.PutKey)
			if err := pebblestate.ReadTable(b, rows.Add); err != nil && !errors.Is(err, checkpoint.ErrCorrupt) {
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	}
	rows := memstate.Unsort(sums, state.PutKey)
	if err := rows.Add([]byte("r"), nil); !errors.Is(err, checkpoint.ErrCorrupt) {
		t.Errorf("an entry without a key: %v", err)
	}
}
