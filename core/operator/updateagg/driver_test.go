package updateagg_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// driver feeds an aggregate by hand.
type driver struct {
	t       testing.TB
	spec    *jobgraph.UpdatingAggregate
	in, out datatype.Schema
	mem     *memory.CheckedAllocator
	used    balance
	op      operator.Operator
	backend state.Backend
	lines   []string
	pieces  []piece // of all snapshots
	whole   []keygroup.Range
}

// piece is one of the n-th snapshot.
type piece struct {
	state.Piece
	n int
}

// stale are the groups that snapshots after the n-th hold whole.
func (d *driver) stale(n int) []bool {
	out := make([]bool, operatortest.Groups)
	for _, r := range d.whole[n+1:] {
		for g := r.First; g < r.Last; g++ {
			out[g] = true
		}
	}
	return out
}

// balance is an account.
type balance struct{ used int64 }

func (b *balance) Grow(n int64) error { b.used += n; return nil }
func (b *balance) Shrink(n int64)     { b.used -= n }

func newDriver(t testing.TB, spec *jobgraph.UpdatingAggregate, in, out datatype.Schema) *driver {
	d := &driver{t: t, spec: spec, in: in, out: out, mem: memory.NewCheckedAllocator(memory.NewGoAllocator())}
	d.open(nil)
	return d
}

func (d *driver) open(saved [][]byte) {
	d.t.Helper()
	var err error
	if d.op, err = updateagg.New(d.spec, d.in, d.out); err != nil {
		d.t.Fatal(err)
	}
	d.backend = memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, d.mem, &d.used)
	for _, p := range d.pieces {
		if err := d.backend.Restore(p.Piece, d.stale(p.n)); err != nil {
			d.t.Fatal(err)
		}
	}
	err = d.op.Open(&operator.Context{
		Context: context.Background(), Parallelism: 1, Output: d, State: d.backend, Restored: saved, Memory: &d.used, Alloc: d.mem,
		BatchRows: 1 << 13, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// Emit implements operator.Output.
func (d *driver) Emit(b *stream.Batch) error {
	for i, row := range operatortest.ReadRows(b) {
		line := operatortest.FormatRow(d.out, row)
		if k := b.Kind(i); k != stream.Insert {
			line = k.String() + " " + line
		}
		d.lines = append(d.lines, line)
	}
	b.Release()
	return nil
}

// rows feeds lines as one batch.
func (d *driver) rows(lines ...string) {
	d.t.Helper()
	if err := d.op.Process(0, d.batch(lines...)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) batch(lines ...string) *stream.Batch {
	header := make([]string, len(d.in))
	for i, f := range d.in {
		header[i] = datatype.QuoteName(f.Name) + " " + f.Type.String()
	}
	table := operatortest.Parse(strings.Join(header, ", ") + "\n" + strings.Join(lines, "\n"))
	var rows [][]any
	var kinds []stream.RowKind
	for _, s := range table.Steps {
		rows, kinds = append(rows, s.Row), append(kinds, max(s.Kind, stream.Insert))
	}
	b := stream.NewBatch(operatortest.Record(d.mem, d.in, rows))
	b.Kinds = kinds
	return b
}

func (d *driver) do(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// snapshot takes the changes since the last one and opens anew what all of them say.
func (d *driver) snapshot(scope state.Scope) {
	d.t.Helper()
	saved, err := d.op.(operator.Snapshotter).Snapshot(stream.Barrier{Checkpoint: 1, Kind: stream.CheckpointKind})
	d.do(err)
	s, err := d.backend.Snapshot(scope)
	d.do(err)
	d.do(state.Complete(s))
	d.do(s.Write(context.Background(), func(p state.Piece) error {
		p.Rows.Retain()
		d.pieces = append(d.pieces, piece{p, len(d.whole)})
		return nil
	}))
	d.whole = append(d.whole, s.Whole())
	s.Release()
	if scope == state.Everything {
		return // goes on, for changes to be added
	}
	d.do(d.op.Close())
	d.do(d.backend.Close())
	if saved == nil {
		d.open(nil)
	} else {
		d.open([][]byte{saved})
	}
}

// close ends the input and checks that nothing is left.
func (d *driver) close() {
	d.t.Helper()
	d.do(d.op.EndInput(0))
	d.do(d.op.Close())
	d.do(d.backend.Close())
	for _, p := range d.pieces {
		p.Rows.Release()
	}
	d.mem.AssertSize(d.t, 0)
	if d.used.used != 0 {
		d.t.Errorf("%d bytes stay charged", d.used.used)
	}
}

// says checks what has been told since the last time.
func (d *driver) says(want ...string) {
	d.t.Helper()
	if !slices.Equal(d.lines, want) {
		d.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(d.lines, "\n  "), strings.Join(want, "\n  "))
	}
	d.lines = nil
}
