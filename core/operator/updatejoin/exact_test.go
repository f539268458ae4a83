package updatejoin_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updatejoin"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// What comes out after each step, told exactly: when rows are told, in which order, and
// what is late or forgotten.

// rig drives an operator step by step.
type rig struct {
	t       *testing.T
	op      *updatejoin.Join
	mem     *memory.CheckedAllocator
	account budget
	state   *memstate.Backend
	limit   int
	out     []string
	rows    int
	batches int
	kinds   bool
}

type budget struct{ used, limit int64 }

var errFull = errors.New("no memory")

func (b *budget) Grow(n int64) error {
	if b.limit > 0 && b.used+n > b.limit {
		return errFull
	}
	b.used += n
	return nil
}

func (b *budget) Shrink(n int64) { b.used -= n }

func newRig(t *testing.T, spec *jobgraph.UpdatingJoin, deps updatejoin.Deps) *rig {
	t.Helper()
	op, err := updatejoin.New(spec, leftSchema, rightSchema, deps)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, op: op.(*updatejoin.Join), mem: memory.NewCheckedAllocator(memory.NewGoAllocator()), limit: 4}
	r.open(nil)
	return r
}

func (r *rig) open(pieces []state.Piece) {
	r.t.Helper()
	r.state = memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, r.mem, &r.account)
	for _, p := range pieces {
		if err := r.state.Restore(p, nil); err != nil {
			r.t.Fatal(err)
		}
		p.Rows.Release()
	}
	ctx := &operator.Context{Context: context.Background(), Parallelism: 1, Output: r, Memory: &r.account, Alloc: r.mem, State: r.state, BatchRows: r.limit}
	if err := r.op.Open(ctx); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) Emit(b *stream.Batch) error {
	defer b.Release()
	if r.batches++; b.Len() > r.limit {
		r.t.Errorf("a batch of %d rows", b.Len())
	}
	r.rows += b.Len()
	r.kinds = r.kinds || b.Kinds != nil
	if r.rows > 1000 {
		return nil
	}
	schema := slices.Concat(leftSchema, rightSchema)[:b.Record.NumCols()]
	for i, row := range operatortest.ReadRows(b) {
		at := i
		if b.Sel != nil {
			at = int(b.Sel[i])
		}
		r.out = append(r.out, b.Kind(at).String()+" "+short(schema, row))
	}
	return nil
}

// short leaves out what says nothing.
func short(schema datatype.Schema, row []any) string {
	text := operatortest.FormatRow(schema, row)
	return strings.NewReplacer("1970-01-01 00:00:0", "", "NULL | NULL | NULL | NULL", "-", " | ", " ").Replace(text)
}

// batch gives the operator rows: +k v t or -k v t each.
func (r *rig) batch(input int, rows ...string) error {
	var values [][]any
	var kinds []stream.RowKind
	for _, row := range rows {
		var k string
		var v, at int64
		if _, err := fmt.Sscanf(row[1:], "%s %d %d", &k, &v, &at); err != nil {
			r.t.Fatal(err)
		}
		values = append(values, []any{k, int64(0), v, at * 1000})
		if kinds = append(kinds, stream.Insert); row[0] == '-' {
			kinds[len(kinds)-1] = stream.Delete
		}
	}
	b := stream.NewBatch(operatortest.Record(r.mem, [2]datatype.Schema{leftSchema, rightSchema}[input], values))
	if slices.Contains(kinds, stream.Delete) {
		b.Kinds = kinds
	}
	return r.op.Process(input, b)
}

// expect compares what has come out since the last time.
func (r *rig) expect(err error, want ...string) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	if !slices.Equal(r.out, want) {
		r.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(r.out, "\n  "), strings.Join(want, "\n  "))
	}
	r.out = nil
}

// close checks that the lists are empty, where they ought to be, and nothing is left.
func (r *rig) close(rows int) {
	r.t.Helper()
	s, err := r.state.Snapshot(state.Everything)
	if err == nil {
		err = state.Complete(s)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	kept := 0
	err = s.Write(context.Background(), func(p state.Piece) error {
		if p.Kind == state.PutRow {
			kept += int(p.Rows.NumRows())
		} else if rows == 0 && p.Rows.NumRows() > 0 {
			r.t.Errorf("%s of %d keys in a table that ought to be empty", p.Kind, p.Rows.NumRows())
		}
		return nil
	})
	s.Release()
	if err = errors.Join(err, r.op.Close(), r.state.Close()); err != nil {
		r.t.Fatal(err)
	}
	if r.mem.AssertSize(r.t, 0); kept != rows || r.account.used != 0 {
		r.t.Errorf("%d rows are kept, want %d; %d bytes stay charged", kept, rows, r.account.used)
	}
}

func equi(kind jobgraph.JoinType) *jobgraph.UpdatingJoin {
	return &jobgraph.UpdatingJoin{Type: kind, LeftKeys: []uint32{0}, RightKeys: []uint32{0}, LeftRetracting: true, RightRetracting: true}
}

func TestLeftJoinTells(t *testing.T) {
	r := newRig(t, equi(jobgraph.JoinType_JOIN_LEFT), deps)
	r.expect(r.batch(0, "+a 1 0"), "+I a 0 1 0 -")
	r.expect(r.batch(1, "+a 7 0", "+b 8 0"), "-D a 0 1 0 -", "+I a 0 1 0 a 0 7 0")
	r.expect(r.batch(1, "-a 7 0", "+a 9 0"), "-D a 0 1 0 a 0 7 0", "+I a 0 1 0 -", "-D a 0 1 0 -", "+I a 0 1 0 a 0 9 0")
	r.expect(r.batch(0, "-a 1 0", "+a 2 0"), "-D a 0 1 0 a 0 9 0", "+I a 0 2 0 a 0 9 0")
	r.expect(r.batch(0, "+c 1 0", "-c 1 0", "+c 2 0"), "+I c 0 2 0 -")
	r.expect(r.batch(0, "-c 2 0", "-a 2 0"), "-D c 0 2 0 -", "-D a 0 2 0 a 0 9 0")
	r.expect(r.batch(1, "-a 9 0", "+y 1 0", "-b 8 0", "-z 1 0", "-y 1 0"))
	if r.op.Late() != 1 {
		t.Errorf("%d rows late, want the one that was not there", r.op.Late())
	}
	r.close(0)
}

func TestSemiAndAntiJoinsTell(t *testing.T) {
	r := newRig(t, equi(jobgraph.JoinType_JOIN_SEMI), deps)
	r.expect(r.batch(0, "+a 1 0", "+a 1 0"))
	r.expect(r.batch(1, "+a 7 0"), "+I a 0 1 0", "+I a 0 1 0")
	r.expect(r.batch(1, "+a 8 0", "-a 7 0"), "-D a 0 1 0", "-D a 0 1 0", "+I a 0 1 0", "+I a 0 1 0")
	r.expect(r.batch(0, "-a 1 0"), "-D a 0 1 0")
	r.expect(r.batch(1, "-a 8 0"), "-D a 0 1 0")
	r.close(1)
	r = newRig(t, equi(jobgraph.JoinType_JOIN_ANTI), deps)
	r.expect(r.batch(0, "+a 1 0"), "+I a 0 1 0")
	r.expect(r.batch(1, "+a 7 0"), "-D a 0 1 0")
	r.expect(r.batch(0, "+a 2 0", "-a 1 0"))
	r.expect(r.batch(1, "-a 7 0"), "+I a 0 2 0")
	r.close(1)
}

// At closing, a row without a partner is told once; a late row meets what is kept, and
// is told at once where it finds nothing.
func TestAtClosing(t *testing.T) {
	spec := &jobgraph.UpdatingJoin{
		Type: jobgraph.JoinType_JOIN_FULL, LeftKeys: []uint32{0}, RightKeys: []uint32{0}, AtClosing: true,
		LeftClosing: &jobgraph.Closing{Column: 3}, RightClosing: &jobgraph.Closing{Column: 3, AfterMillis: 2000},
	}
	r := newRig(t, spec, deps)
	r.expect(r.batch(0, "+a 1 1", "+b 2 1"))
	r.expect(r.batch(1, "+b 7 1", "+c 8 2"), "+I b 0 2 1 b 0 7 1")
	r.expect(r.op.Watermark(999))
	r.expect(r.op.Watermark(1000), "+I a 0 1 1 -")
	r.expect(r.batch(0, "+b 3 1", "+a 3 1", "+c 3 3"), "+I b 0 3 1 b 0 7 1", "+I a 0 3 1 -", "+I c 0 3 3 c 0 8 2")
	if r.op.Late() != 2 {
		t.Errorf("%d rows late, want 2", r.op.Late())
	}
	r.expect(r.batch(1, "+d 9 2"))
	r.expect(r.op.Watermark(4000), "+I - d 0 9 2")
	r.close(0)
}

// Of a side that takes rows back, late rows are dropped.
func TestLateRowsOfRetractingSides(t *testing.T) {
	spec := equi(jobgraph.JoinType_JOIN_INNER)
	spec.LeftClosing = &jobgraph.Closing{Column: 3}
	r := newRig(t, spec, deps)
	r.expect(r.batch(0, "+a 1 1"))
	r.expect(r.batch(1, "+a 7 0"), "+I a 0 1 1 a 0 7 0")
	r.expect(r.op.Watermark(1000))
	r.expect(r.batch(0, "-a 1 1", "+a 2 1"))
	if r.op.Late() != 2 {
		t.Errorf("%d rows late, want 2", r.op.Late())
	}
	r.close(1)
}

// Rows are kept for a time of the clock, also over a restore.
func TestRowsAreKeptForATime(t *testing.T) {
	now := time.UnixMilli(10_000)
	deps := updatejoin.Deps{Functions: function.Builtins(), Expr: expr.Options{Now: func() time.Time { return now }}}
	spec := equi(jobgraph.JoinType_JOIN_INNER)
	spec.LeftKeepMillis = 1000
	r := newRig(t, spec, deps)
	r.expect(r.batch(0, "+a 1 0"))
	now = now.Add(500 * time.Millisecond)
	r.expect(r.batch(0, "+a 2 0"))
	r.restore(spec, deps)
	r.expect(r.op.Tick(now.Add(499 * time.Millisecond)))
	r.expect(r.batch(1, "+a 7 0"), "+I a 0 1 0 a 0 7 0", "+I a 0 2 0 a 0 7 0")
	r.expect(r.op.Tick(now.Add(500 * time.Millisecond)))
	r.expect(r.batch(1, "+a 8 0"), "+I a 0 2 0 a 0 8 0")
	r.expect(r.batch(0, "-a 1 0"))
	r.expect(r.op.Tick(now.Add(time.Second)))
	r.expect(r.batch(1, "+a 9 0", "-a 7 0", "-a 8 0"))
	r.close(1)
}

// restore goes on in another operator with the state of this one.
func (r *rig) restore(spec *jobgraph.UpdatingJoin, deps updatejoin.Deps) {
	r.t.Helper()
	s, err := r.state.Snapshot(state.Everything)
	if err == nil {
		err = state.Complete(s)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	var pieces []state.Piece
	err = s.Write(context.Background(), func(p state.Piece) error {
		p.Rows.Retain()
		pieces = append(pieces, p)
		return nil
	})
	s.Release()
	if err = errors.Join(err, r.op.Close(), r.state.Close()); err != nil {
		r.t.Fatal(err)
	}
	op, err := updatejoin.New(spec, leftSchema, rightSchema, deps)
	if err != nil {
		r.t.Fatal(err)
	}
	r.op = op.(*updatejoin.Join)
	r.open(pieces)
}

// A key of 10 000 rows comes out in pieces.
func TestHotKey(t *testing.T) {
	r := newRig(t, equi(jobgraph.JoinType_JOIN_FULL), deps)
	many := slices.Repeat([]string{"+a 1 0"}, 10_000)
	if err := r.batch(0, many...); err != nil {
		t.Fatal(err)
	}
	r.out, r.rows = nil, 0
	if err := r.batch(1, "+a 2 0"); err != nil {
		t.Fatal(err)
	}
	if r.rows != 20_000 {
		t.Errorf("%d rows, want 10 000 taken back and 10 000 pairs", r.rows)
	}
	if r.rows = 0; r.batch(1, "-a 2 0") != nil || r.rows != 20_000 {
		t.Errorf("%d rows, want 10 000 pairs taken back and 10 000 rows told", r.rows)
	}
	r.close(10_000)
}

// A side that no longer meets anything is not kept.
func TestEndedSidesNeedNothing(t *testing.T) {
	spec := equi(jobgraph.JoinType_JOIN_INNER)
	spec.LeftRetracting, spec.RightRetracting = false, false
	r := newRig(t, spec, deps)
	r.expect(r.batch(1, "+a 7 0"))
	r.expect(r.op.EndInput(1))
	r.expect(r.batch(0, "+a 1 0", "+b 1 0"), "+I a 0 1 0 a 0 7 0")
	if r.kinds {
		t.Error("inserts alone come with kinds")
	}
	if err := r.batch(0, "-a 1 0"); err == nil {
		t.Error("a row is taken back of an input of inserts")
	}
	r.close(1)
}

// A cross join whose inputs have no columns counts.
func TestNoColumns(t *testing.T) {
	none := operatortest.Table{Schema: datatype.Schema{}}
	l := operatortest.Parse("v INT\n1\n-D 1\n2\n3")
	for range 3 {
		none.Steps = append(none.Steps, operatortest.Step{Row: []any{}})
	}
	none.Steps = append(none.Steps, operatortest.Step{Row: []any{}, Kind: stream.Delete})
	spec := &jobgraph.UpdatingJoin{Type: jobgraph.JoinType_JOIN_INNER, LeftRetracting: true, RightRetracting: true}
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{l, none}, Output: l.Schema, Changelog: true, Stateful: true, Backend: backend,
		Want: "2\n2\n3\n3",
		New:  func() (operator.Operator, error) { return updatejoin.New(spec, l.Schema, none.Schema, deps) },
	})
}

// Memory runs out: the error comes back, nothing stays charged.
func TestMemoryRunsOut(t *testing.T) {
	spec := equi(jobgraph.JoinType_JOIN_LEFT)
	spec.LeftClosing = &jobgraph.Closing{Column: 3, AfterMillis: 1000}
	r := newRig(t, spec, deps)
	r.account.limit = 1 << 20
	var err error
	random := rand.New(rand.NewPCG(1, 1))
	for i := 0; err == nil && i < 1000; i++ {
		var rows []string
		for range 1000 {
			rows = append(rows, fmt.Sprintf("+%d 1 %d", random.IntN(1e9), random.IntN(1e6)))
		}
		err = r.batch(i%2, rows...)
	}
	if !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(r.op.Close(), r.state.Close()); err != nil || r.account.used != 0 {
		t.Errorf("%v, %d bytes stay charged", err, r.account.used)
	}
	r.mem.AssertSize(t, 0)
}

func TestSpecs(t *testing.T) {
	array := operatortest.ParseSchema("k STRING, a ARRAY<INT>")
	for name, c := range map[string]struct {
		spec        *jobgraph.UpdatingJoin
		left, right datatype.Schema
	}{
		"right semi":            {&jobgraph.UpdatingJoin{Type: jobgraph.JoinType_JOIN_RIGHT_SEMI}, leftSchema, rightSchema},
		"keys of two lengths":   {&jobgraph.UpdatingJoin{Type: 1, LeftKeys: []uint32{1}}, leftSchema, rightSchema},
		"no such key":           {&jobgraph.UpdatingJoin{Type: 1, LeftKeys: []uint32{4}, RightKeys: []uint32{0}}, leftSchema, rightSchema},
		"keys of two types":     {&jobgraph.UpdatingJoin{Type: 1, LeftKeys: []uint32{1}, RightKeys: []uint32{0}}, leftSchema, rightSchema},
		"closing by no column":  {&jobgraph.UpdatingJoin{Type: 1, LeftClosing: &jobgraph.Closing{Column: 4}}, leftSchema, rightSchema},
		"closing by no time":    {&jobgraph.UpdatingJoin{Type: 1, RightClosing: &jobgraph.Closing{Column: 1}}, leftSchema, rightSchema},
		"at closing of nothing": {&jobgraph.UpdatingJoin{Type: 2, AtClosing: true, RightClosing: &jobgraph.Closing{Column: 3}}, leftSchema, rightSchema},
		"lists in rows":         {&jobgraph.UpdatingJoin{Type: 1}, array, rightSchema},
		"residual":              {&jobgraph.UpdatingJoin{Type: 1, Residual: expr.ToProto(&expr.Column{Index: 8, T: datatype.Of(datatype.Boolean)})}, leftSchema, rightSchema},
	} {
		if _, err := updatejoin.New(c.spec, c.left, c.right, deps); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
