package aside_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/match"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/session"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/operator/updatejoin"
	"github.com/tidemill/tidemill/core/operator/updateover"
	"github.com/tidemill/tidemill/core/operator/updatetop"
	"github.com/tidemill/tidemill/core/operator/window"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Every operator that leaves late rows out gives them to its side, with the time by which they
// are late and the watermark, whatever the batches, restored after every step, and gives back
// what it holds where the output or memory fails.

const disordered = `
k STRING, ts TIMESTAMP(6), v INT
a | 1970-01-01 00:00:01 | 1
b "x" | 1970-01-01 00:00:11 | 2
watermark 10000
a | 1970-01-01 00:00:02.0005 | 3
a | 1970-01-01 00:00:12 | 4
c | 1970-01-01 00:00:03 | NULL
watermark 20000
a | 1970-01-01 00:00:30 | 5
b "x" | 1970-01-01 00:00:13 | 6
`

const late = `
op | 1970-01-01 00:00:02 | 1970-01-01 00:00:10 | +I | {"k":"a","ts":"1970-01-01 00:00:02.0005","v":3}
op | 1970-01-01 00:00:03 | 1970-01-01 00:00:10 | +I | {"k":"c","ts":"1970-01-01 00:00:03","v":null}
op | 1970-01-01 00:00:13 | 1970-01-01 00:00:20 | +I | {"k":"b \"x\"","ts":"1970-01-01 00:00:13","v":6}
`

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

func TestLate(t *testing.T) {
	in := operatortest.Parse(disordered)
	count := []*jobgraph.AggregateCall{{Function: "COUNT", Filter: -1, Type: "BIGINT NOT NULL", Name: "n"}}
	number := datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt).NotNull()}}
	closing := &jobgraph.Closing{Column: 1}
	byTime := []*jobgraph.SortKey{{Column: 1}}
	windowed := func(kind jobgraph.WindowKind, millis int64) *jobgraph.WindowAggregate {
		return &jobgraph.WindowAggregate{
			Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 1, Keys: []uint32{0}, Calls: count,
			Window: &jobgraph.Window{Kind: kind, SizeMillis: millis},
		}
	}
	counted := append(in.Schema[:1:1], number...)
	for name, open := range map[string]func() (operator.Operator, error){
		"window": func() (operator.Operator, error) {
			return window.New(windowed(jobgraph.WindowKind_WINDOW_TUMBLE, 5000), in.Schema, counted)
		},
		"session": func() (operator.Operator, error) {
			return session.New(windowed(jobgraph.WindowKind_WINDOW_SESSION, 2000), in.Schema, counted)
		},
		"group-by": func() (operator.Operator, error) {
			spec := &jobgraph.UpdatingAggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{1}, Calls: count, Closing: closing}
			return updateagg.New(spec, in.Schema, append(in.Schema[1:2:2], number...))
		},
		"top-n": func() (operator.Operator, error) {
			spec := &jobgraph.UpdatingTopN{
				Groups: []uint32{1}, Order: []*jobgraph.SortKey{{Column: 2}}, Ranking: jobgraph.Ranking_RANKING_ROW_NUMBER, Limit: 1, Closing: closing,
			}
			return updatetop.New(spec, in.Schema, in.Schema)
		},
		"over": func() (operator.Operator, error) {
			spec := &jobgraph.UpdatingOver{Partition: []uint32{0}, Order: byTime, Closing: closing, Calls: []*jobgraph.OverCall{{
				Call:  count[0],
				Frame: &jobgraph.Frame{Unit: jobgraph.FrameUnit_FRAME_ROWS, From: &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING}, To: &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_CURRENT_ROW}},
			}}}
			return updateover.New(spec, in.Schema, append(in.Schema[:3:3], number...))
		},
		"match": func() (operator.Operator, error) {
			spec := &jobgraph.MatchRecognize{
				Partition: []uint32{0}, Order: byTime, Pattern: &jobgraph.Pattern{Kind: jobgraph.PatternKind_PATTERN_VARIABLE, Least: 1, Most: 1},
				Variables: []*jobgraph.MatchVariable{{Name: "A"}}, After: jobgraph.AfterMatch_AFTER_MATCH_PAST_LAST_ROW, MaxPartial: 10,
			}
			return match.New(spec, in.Schema, in.Schema[:1], match.Deps{Functions: function.Builtins(), Expr: expr.Options{}})
		},
		"join": func() (operator.Operator, error) {
			spec := &jobgraph.UpdatingJoin{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0}, RightKeys: []uint32{0}, LeftClosing: closing, RightClosing: closing}
			return updatejoin.New(spec, in.Schema, in.Schema, updatejoin.Deps{Functions: function.Builtins()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inputs := []operatortest.Table{in}
			if name == "join" {
				inputs = append(inputs, operatortest.Table{Schema: in.Schema})
			}
			operatortest.Run(t, operatortest.Case{
				New: func() (operator.Operator, error) {
					op, err := open()
					if err != nil {
						return nil, err
					}
					return operatortest.Side("op", op), nil
				},
				Inputs: inputs, Output: aside.LateColumns(), Want: late, Backend: backend,
				Stateful: name != "join", // which keeps no watermark: what was late before a restart may be in time after it
			})
		})
	}
}

// A row that takes another one back says so, one without a time has none, and before there is
// a watermark, or after the last one, none is told.
func TestLateRow(t *testing.T) {
	in := operatortest.Parse("k STRING, ts TIMESTAMP(3)\n-D a | NULL\n+U b | 1969-12-31 23:59:59.999")
	for _, c := range []struct {
		time int
		w    stream.Watermark
		want string
	}{
		{1, 5, `op | NULL | 1970-01-01 00:00:00.005 | -D | {"k":"a","ts":null}
			op | 1969-12-31 23:59:59.999 | 1970-01-01 00:00:00.005 | +U | {"k":"b","ts":"1969-12-31 23:59:59.999"}`},
		{-1, stream.MinWatermark, `op | NULL | NULL | -D | {"k":"a","ts":null}
			op | NULL | NULL | +U | {"k":"b","ts":"1969-12-31 23:59:59.999"}`},
		{1, stream.MaxWatermark, `op | NULL | NULL | -D | {"k":"a","ts":null}
			op | 1969-12-31 23:59:59.999 | NULL | +U | {"k":"b","ts":"1969-12-31 23:59:59.999"}`},
	} {
		operatortest.Run(t, operatortest.Case{
			New: func() (operator.Operator, error) {
				return operatortest.Side("op", &all{in: in.Schema, time: c.time, w: c.w}), nil
			},
			Inputs: []operatortest.Table{in}, Output: aside.LateColumns(), Want: c.want,
		})
	}
}

// A row that JSON has no form of is null, one that is too long is cut; without a side rows are
// only counted, and an output that has none is a mistake.
func TestLateRowText(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	number := datatype.Of(datatype.Int)
	mapped := datatype.Schema{{Name: "m", Type: datatype.Type{Kind: datatype.Map, Key: &number, Elem: &number, Nullable: true}}}
	build := array.NewRecordBuilder(mem, mapped.Arrow())
	defer build.Release()
	build.Field(0).AppendNull()
	long := operatortest.Parse("k STRING\n" + strings.Repeat("x", 2<<20))
	for _, c := range []struct {
		in     datatype.Schema
		record arrow.RecordBatch
		length int
	}{
		{mapped, build.NewRecordBatch(), 0},
		{long.Schema, operatortest.Record(mem, long.Schema, long.Rows()), 1 << 20},
	} {
		out, op := &last{}, &all{in: c.in, time: -1}
		if err := op.Open(&operator.Context{Context: t.Context(), Output: out, Alloc: mem, Name: "op", Sides: 1}); err != nil {
			t.Fatal(err)
		}
		if err := op.Process(0, stream.NewBatch(c.record)); err != nil || len(out.raw) != c.length {
			t.Errorf("%s: %d bytes, want %d: %v", c.in, len(out.raw), c.length, err)
		}
	}
	op := &all{in: long.Schema, time: -1}
	if err := op.Open(&operator.Context{Context: t.Context(), Output: plain{}, Alloc: mem}); err != nil {
		t.Fatal(err)
	}
	if err := op.Process(0, stream.NewBatch(operatortest.Record(mem, long.Schema, long.Rows()))); err != nil || op.late.Count() != 1 {
		t.Error(op.late.Count(), err)
	}
	if err := op.Open(&operator.Context{Context: t.Context(), Output: plain{}, Name: "op", Sides: 1}); failure.Of(err) != failure.Internal {
		t.Error(err)
	}
}

// The limit is of all late rows together.
func TestLateLimit(t *testing.T) {
	op, err := aside.NewRejectLimit(&jobgraph.RejectLimit{Table: "late", Late: true, Most: []*jobgraph.RejectMost{{Rows: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	in := operatortest.Parse("operator STRING, event_time TIMESTAMP(3), reached TIMESTAMP(3), row_kind STRING, raw STRING\n" + strings.TrimSpace(late))
	_, err = operatortest.Collect(t, op, 2, in)
	if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "more than 2 rows came late and went to late, as many as 'table.exec.late-rows.max' allows; the last one at op, of 1970-01-01 00:00:13.000") {
		t.Error(err)
	}
}

// last keeps the text of the last row that came aside.
type last struct {
	plain
	raw string
}

func (l *last) EmitSide(_ int, b *stream.Batch) error {
	defer b.Release()
	raw := b.Column(len(aside.LateColumns()) - 1).(*array.String)
	l.raw = raw.Value(raw.Len() - 1)
	return nil
}

// all is an operator for which all rows are late.
type all struct {
	operator.Operator
	in   datatype.Schema
	time int
	w    stream.Watermark
	late aside.Late
}

func (a *all) Open(ctx *operator.Context) error { return a.late.Open(ctx, a.in, a.time) }

func (a *all) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	for i := range b.Len() {
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		a.late.Add(r)
	}
	return a.late.Emit(b, a.w)
}

func (a *all) Watermark(stream.Watermark) error { return nil }
func (a *all) EndInput(int) error               { return nil }
func (a *all) Close() error                     { return nil }
