package operatortest

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/statetest"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// reopenEvery is after how many snapshots of a chain the operator is made anew.
	reopenEvery = 3
	// keptPieces is from how many pieces on a chain begins anew.
	keptPieces = 64
)

// paddings is how many keys beside the operator's do not change, so that snapshots of
// changes do not hold nearly everything anyway.
const paddings = 512

// pad puts them into the keyed state.
func (f *feed) pad() error {
	table, err := f.backend.Table(state.TableSpec{ID: 1<<16 - 1, Name: "padding", Keys: ParseSchema("k BIGINT"), Values: ParseSchema("n BIGINT")})
	if err != nil {
		return err
	}
	rows, err := table.Namespace(0)
	if err != nil || rows.Len() > 0 { // restored
		return err
	}
	keys := array.NewInt64Builder(f.mem)
	defer keys.Release()
	for i := range int64(paddings) {
		keys.Append(i)
	}
	column := keys.NewArray()
	defer column.Release()
	columns := []arrow.Array{column}
	return rows.Resolve(columns, nil, compute.HashColumns(columns, nil, nil), make([]int32, paddings))
}

// kept is a chain of snapshots of keyed state: everything first, then what has changed
// since the one before.
type kept struct {
	pieces    []keptPiece
	whole     []keygroup.Range // by snapshot, what it holds whole
	snapshots int              // also of chains before
	open      state.Snapshot   // the latest one, of which not all may be copied; nil: it has been written
}

// keptPiece is a piece of the n-th snapshot of the chain.
type keptPiece struct {
	state.Piece
	n int
}

// add takes a snapshot, and leaves copying it for later: what the operator does meanwhile is
// not in it.
func (k *kept) add(f *feed) error {
	if err := k.write(f); err != nil {
		return err
	}
	scope := state.Changes
	if k.snapshots++; len(k.whole) == 0 || len(k.pieces) > keptPieces {
		scope = state.Everything
		k.release()
	}
	s, err := f.backend.Snapshot(scope)
	if err != nil {
		return err
	}
	k.open, k.whole = s, append(k.whole, s.Whole())
	return nil
}

// write writes the latest snapshot.
func (k *kept) write(f *feed) error {
	s := k.open
	if s == nil {
		return nil
	}
	k.open = nil
	defer s.Release()
	if err := state.Complete(s); err != nil {
		return err
	}
	return s.Write(f.ctx, func(p state.Piece) error {
		p.Rows.Retain()
		k.pieces = append(k.pieces, keptPiece{p, len(k.whole) - 1})
		return nil
	})
}

// restore gives a backend what the chain says.
func (k *kept) restore(b state.Backend) error {
	for _, p := range k.pieces {
		stale := make([]bool, Groups)
		for _, later := range k.whole[p.n+1:] {
			for g := later.First; g < later.Last; g++ {
				stale[g] = true
			}
		}
		if err := b.Restore(p.Piece, stale); err != nil {
			return err
		}
	}
	return nil
}

func (k *kept) release() {
	if k.open != nil {
		k.open.Release()
		k.open = nil
	}
	for _, p := range k.pieces {
		p.Rows.Release()
	}
	k.pieces, k.whole = nil, nil
}

// chained takes a snapshot of a chain; every few times it makes the operator anew from
// the chain, so that a change of which the backend was not told is lost.
func (f *feed) chained() error {
	saved, err := f.saved()
	if err == nil {
		err = f.kept.add(f)
	}
	if err != nil || f.kept.snapshots%reopenEvery != 0 {
		return err
	}
	if err := f.kept.write(f); err != nil {
		return err
	}
	if err := f.close(); err != nil {
		return err
	}
	return f.open(saved, f.kept.restore)
}

// saved is the operator's own state, of a checkpoint that is complete.
func (f *feed) saved() (saved []byte, err error) {
	s, ok := f.op.(operator.Snapshotter)
	if !ok {
		return nil, nil
	}
	if saved, err = s.Snapshot(stream.Barrier{Checkpoint: 1, Kind: stream.CheckpointKind}); err != nil {
		return nil, err
	}
	return saved, s.Completed(1)
}

// onDisk checks the case with all evictable keys out of memory between any two elements.
func (c Case) onDisk(t T) {
	t.Helper()
	c.Backend = func(mem memory.Allocator, account stream.Account) (state.Backend, error) {
		return memstate.NewTiered(Groups, keygroup.Range{Last: Groups}, mem, account, statetest.NewStore(), 0), nil
	}
	want := c.want()
	for _, way := range []variant{{batch: 3, seed: 1}, {batch: 2, sel: true, dictionaries: true, seed: 1}} {
		r := c.run(t, way)
		for step := 1; r.err == nil && c.Stateful && step <= r.steps; step += max(1, r.steps/4) {
			c.compare(t, "keys on disk: "+way.String(), r.rows, want)
			again := way
			again.chainAt, again.chainBy = step, 1+step%3
			r = c.run(t, again)
		}
		if r.err != nil {
			t.Fatalf("keys on disk: %v: %v", way, r.err)
		}
		c.compare(t, "keys on disk: "+way.String(), r.rows, want)
	}
}

// evict moves keys out of memory, as a task does between elements.
func (f *feed) evict() error {
	e, ok := f.backend.(state.Evictor)
	if !ok || !e.Crowded() {
		return nil
	}
	if h, ok := f.op.(operator.Holder); ok {
		if err := h.LetGo(); err != nil {
			return err
		}
	}
	return e.Evict()
}
