package updateagg_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// What exactly is told, when: by batch, when held back, at closing; what is late and
// what is forgotten.

var countSumMax = []string{"COUNT() -> BIGINT NOT NULL", "SUM(1) -> INT", "MAX(1) -> INT"}

// driven drives a single phase of calls over k and v.
func driven(t *testing.T, texts []string, keys []uint32, change func(*jobgraph.UpdatingAggregate)) *driver {
	in := operatortest.ParseSchema("k STRING, v INT")
	spec := specOf(calls(in, texts...), keys, true)
	if change != nil {
		change(spec)
	}
	return newDriver(t, spec, in, outputOf(spec, in))
}

func TestChangesOfBatches(t *testing.T) {
	d := driven(t, countSumMax, []uint32{0}, nil)
	d.rows("a | 1", "b | 2", "a | 3")
	d.says("a | 2 | 4 | 3", "b | 1 | 2 | 2")
	d.rows("-D b | 2", "-U a | 1", "+U a | 5", "c | NULL")
	d.says("-D b | 1 | 2 | 2", "-U a | 2 | 4 | 3", "+U a | 2 | 8 | 5", "c | 1 | NULL | NULL")
	d.rows("d | 1", "-D d | 1")
	d.says()
	d.rows("-U a | 3", "+U a | 3")
	d.says()
	d.rows("-D c | NULL", "b | 7")
	d.says("-D c | 1 | NULL | NULL", "b | 1 | 7 | 7")
	d.close()
	d.says()
}

func TestWithoutUpdateBefore(t *testing.T) {
	d := driven(t, countSumMax, []uint32{0}, func(s *jobgraph.UpdatingAggregate) { s.UpdateBefore = false })
	d.rows("a | 1", "b | 2")
	d.says("a | 1 | 1 | 1", "b | 1 | 2 | 2")
	d.rows("a | 3", "-D b | 2")
	d.says("-D b | 1 | 2 | 2", "+U a | 2 | 4 | 3")
	d.close()
}

// A group without keys is there also without rows, from its first change or the end on.
func TestWithoutKeys(t *testing.T) {
	d := driven(t, countSumMax, nil, nil)
	d.close()
	d.says("0 | NULL | NULL")

	d = driven(t, countSumMax, nil, nil)
	d.rows("a | 1")
	d.says("1 | 1 | 1")
	d.snapshot(state.Everything)
	d.rows("-D a | 1")
	d.says("-U 1 | 1 | 1", "+U 0 | NULL | NULL")
	d.snapshot(state.Changes)
	d.rows("a | 2")
	d.says("-U 0 | NULL | NULL", "+U 1 | 2 | 2")
	d.close()
	d.says()
}

// What is held back is told as one: after the time, at a barrier, at the last watermark and
// no other.
func TestHeldBack(t *testing.T) {
	d := driven(t, countSumMax, []uint32{0}, func(s *jobgraph.UpdatingAggregate) { s.HoldMillis = 100 })
	tick := func(ms int64) { d.do(d.op.(operator.Ticker).Tick(time.UnixMilli(ms))) }
	tick(1000)
	d.rows("a | 1")
	d.rows("a | 2", "b | 1")
	tick(1010)
	d.rows("-D b | 1")
	tick(1109)
	d.says()
	tick(1110)
	d.says("a | 2 | 3 | 2")
	d.rows("a | 3")
	d.do(d.op.Watermark(5))
	tick(1200)
	d.says()
	d.rows("a | 4")
	tick(1300)
	d.says("-U a | 2 | 3 | 2", "+U a | 4 | 10 | 4")
	d.rows("-D a | 4")
	d.snapshot(state.Changes)
	d.says("-U a | 4 | 10 | 4", "+U a | 3 | 6 | 3")
	d.rows("-D a | 3")
	d.do(d.op.Watermark(stream.MaxWatermark))
	d.says("-U a | 3 | 6 | 3", "+U a | 2 | 3 | 2")
	d.rows("-D a | 1", "-D a | 2")
	d.close()
	d.says("-D a | 2 | 3 | 2")
}

// The best of many values is taken back again and again, some of them twice there; the
// values of a restored group are known.
func TestBestTakenBack(t *testing.T) {
	d := driven(t, []string{"MIN(1) -> INT", "MAX(1) -> INT", "ANY_VALUE(1) -> INT", "COUNT(1) DISTINCT -> BIGINT NOT NULL"}, []uint32{0}, nil)
	d.rows("a | 5", "a | 1", "a | 9", "a | 9")
	d.says("a | 1 | 9 | 5 | 3")
	d.rows("-D a | 9")
	d.says()
	d.snapshot(state.Everything)
	d.rows("-D a | 9", "a | 7")
	d.says("-U a | 1 | 9 | 5 | 3", "+U a | 1 | 7 | 5 | 3")
	d.snapshot(state.Changes)
	d.rows("-D a | 5", "-D a | 1")
	d.says("-U a | 1 | 7 | 5 | 3", "+U a | 7 | 7 | 7 | 1")
	d.close()
}

// Different values come in the order of their first, and are gone with their last.
func TestOrderOfDistinctValues(t *testing.T) {
	d := driven(t, []string{"ARRAY_AGG(1) DISTINCT -> ARRAY<INT>", "FIRST_VALUE(1) -> INT"}, []uint32{0}, nil)
	d.rows("a | 5", "a | 1", "a | 5", "a | 3")
	d.says("a | [5 1 3] | 5")
	d.snapshot(state.Everything)
	d.rows("-D a | 5")
	d.says("-U a | [5 1 3] | 5", "+U a | [5 1 3] | 1")
	d.rows("-D a | 5", "a | 2")
	d.says("-U a | [5 1 3] | 1", "+U a | [1 3 2] | 1")
	d.snapshot(state.Changes)
	d.rows("-D a | 3", "a | 5")
	d.says("-U a | [1 3 2] | 1", "+U a | [1 2 5] | 1")
	d.close()
}

// A scalar subquery may change its row, but not have two.
func TestSingleValue(t *testing.T) {
	d := driven(t, []string{"SINGLE_VALUE(1) -> INT"}, nil, nil)
	d.rows("a | 5")
	d.rows("-U a | 5", "+U a | NULL")
	d.rows("-U a | NULL", "+U a | 7")
	d.says("5", "-U 5", "+U NULL", "-U NULL", "+U 7")
	if err := d.op.Process(0, d.batch("a | 7")); failure.Of(err) != failure.UserCode {
		t.Errorf("two rows: %v", err)
	}
	d.do(d.op.Close())
	d.do(d.backend.Close())
	d.mem.AssertSize(t, 0)
}

// Sums of doubles are those of what is left, whatever has been there.
func TestSumsOfDoubles(t *testing.T) {
	in := operatortest.ParseSchema("k STRING, v DOUBLE")
	spec := specOf(calls(in, "SUM(1) -> DOUBLE", "AVG(1) -> DOUBLE", "VAR_POP(1) -> DOUBLE"), nil, true)
	spec.UpdateBefore = false
	d := newDriver(t, spec, in, outputOf(spec, in))
	d.rows("a | 0.1", "a | 1e300", "a | NaN", "a | Inf")
	d.says("NaN | NaN | NaN")
	d.rows("-D a | NaN")
	d.says("+U +Inf | +Inf | NaN")
	d.rows("a | -Inf")
	d.says("+U NaN | NaN | NaN")
	d.rows("-D a | Inf", "-D a | -Inf")
	d.says("+U 1e+300 | 5e+299 | +Inf")
	d.rows("-D a | 1e300", "a | 0.3")
	d.says("+U 0.4 | 0.2 | 0.01")
	d.rows("a | 1000000000.1", "-D a | 0.1", "-D a | 0.3", "a | 1000000000.3")
	d.says("+U 2000000000.4 | 1000000000.2 | 0.00999999284744")
	d.close()
}

// A sum that has too many digits is null until enough of it is taken back.
func TestSumsOutOfRange(t *testing.T) {
	in := operatortest.ParseSchema("k STRING, v DECIMAL(38, 0)")
	spec := specOf(calls(in, "SUM(1) -> DECIMAL(38, 0)"), []uint32{0}, true)
	spec.UpdateBefore = false
	d := newDriver(t, spec, in, outputOf(spec, in))
	large := "9" + strings.Repeat("0", 37)
	d.rows("a | "+large, "a | "+large)
	d.says("a | NULL")
	d.rows("-D a | " + large)
	d.says("+U a | " + large)
	d.close()
}

const closingIn = "k STRING, t TIMESTAMP(3), v INT"

func closingSpec(after int64, retracting bool) *jobgraph.UpdatingAggregate {
	in := operatortest.ParseSchema(closingIn)
	spec := specOf(calls(in, "COUNT() -> BIGINT NOT NULL", "SUM(2) -> INT", "MAX(2) -> INT", "COUNT(2) DISTINCT -> BIGINT NOT NULL"), []uint32{0, 1}, retracting)
	spec.Closing = &jobgraph.Closing{Column: 1, AfterMillis: after}
	return spec
}

func TestClosing(t *testing.T) {
	in := operatortest.ParseSchema(closingIn)
	spec := closingSpec(500, true)
	d := newDriver(t, spec, in, outputOf(spec, in))
	d.rows("a | 1970-01-01 00:00:02 | 1", "b | 1970-01-01 00:00:01 | 2", "a | 1970-01-01 00:00:01 | 3", "a | 1970-01-01 00:00:01 | 4", "c | 1970-01-01 00:00:01 | 4")
	d.do(d.op.Watermark(1499))
	d.snapshot(state.Everything)
	d.rows("-D a | 1970-01-01 00:00:01 | 4", "-D c | 1970-01-01 00:00:01 | 4")
	d.says()
	d.do(d.op.Watermark(1500))
	d.says("b | 1970-01-01 00:00:01 | 1 | 2 | 2 | 1", "a | 1970-01-01 00:00:01 | 1 | 3 | 3 | 1")
	d.snapshot(state.Changes)
	d.rows("b | 1970-01-01 00:00:01 | 2", "a | 1970-01-01 00:00:02 | 1")
	if late := d.op.(*updateagg.Aggregate).Late(); late != 1 {
		t.Errorf("%d late rows, want 1", late)
	}
	d.do(d.op.Watermark(stream.MaxWatermark))
	d.says("a | 1970-01-01 00:00:02 | 2 | 2 | 1 | 1")
	err := d.op.Process(0, d.batch("b | NULL | 2"))
	if failure.Of(err) != failure.BadData {
		t.Errorf("no time: %v", err)
	}
	d.close()
}

func TestClosingEverywhere(t *testing.T) {
	in := operatortest.Parse(closingIn + `
a | 1970-01-01 00:00:01 | 1
b | 1970-01-01 00:00:02 | 2
a | 1970-01-01 00:00:01 | 1
watermark 1000
a | 1970-01-01 00:00:02 | 2
a | 1970-01-01 00:00:01 | 7
b | 1970-01-01 00:00:05 | 2
watermark 4000
a | 1970-01-01 00:00:05 | NULL`)
	for _, make := range []constructor{updateagg.New, twoPhases} {
		spec := closingSpec(0, false)
		want := "a | 1970-01-01 00:00:01 | 2 | 2 | 1\nb | 1970-01-01 00:00:02 | 1 | 2 | 2\na | 1970-01-01 00:00:02 | 1 | 2 | 2\n" +
			"b | 1970-01-01 00:00:05 | 1 | 2 | 2\na | 1970-01-01 00:00:05 | 1 | NULL | NULL"
		spec.Calls = splittable(spec.Calls, false)
		out := outputOf(spec, in.Schema)
		operatortest.Run(t, operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: out, Stateful: true, Backend: backend, Want: want,
			New: func() (operator.Operator, error) { return make(spec, in.Schema, out) },
		})
	}
}

func TestForgetting(t *testing.T) {
	d := driven(t, append(countSumMax, "COUNT(1) DISTINCT -> BIGINT NOT NULL"), []uint32{0}, func(s *jobgraph.UpdatingAggregate) { s.KeepMillis = 1000 })
	tick := func(ms int64) { d.do(d.op.(operator.Ticker).Tick(time.UnixMilli(ms))) }
	d.rows("a | 1", "b | 2")
	tick(10_000)
	d.rows("b | 3")
	tick(10_999)
	d.says("a | 1 | 1 | 1 | 1", "b | 1 | 2 | 2 | 1", "-U b | 1 | 2 | 2 | 1", "+U b | 2 | 5 | 3 | 2")
	d.snapshot(state.Everything)
	d.rows("b | 3")
	d.says("-U b | 2 | 5 | 3 | 2", "+U b | 3 | 8 | 3 | 2")
	tick(11_000)
	d.snapshot(state.Changes)
	d.rows("a | 4", "-D b | 3")
	d.says("-U b | 3 | 8 | 3 | 2", "+U b | 2 | 5 | 3 | 2", "a | 1 | 4 | 4 | 1")
	tick(20_000)
	tick(30_000)
	d.rows("-D a | 4", "b | 1")
	d.says("b | 1 | 1 | 1 | 1")
	d.close()
}

func TestRefused(t *testing.T) {
	in := operatortest.ParseSchema("k STRING, v INT")
	out := operatortest.ParseSchema("k STRING, n BIGINT")
	one := calls(in, "COUNT() -> BIGINT NOT NULL")
	for _, spec := range []*jobgraph.UpdatingAggregate{
		{},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{2}, Calls: one},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Calls: one},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: calls(operatortest.ParseSchema("a INT, b INT, c INT"), "SUM(2) -> INT")},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: []*jobgraph.AggregateCall{{Function: "NONE", Type: "INT", Filter: -1}}},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: one, Closing: &jobgraph.Closing{Column: 0}},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: one, Closing: &jobgraph.Closing{Column: 1}},
		{Phase: jobgraph.Phase_PHASE_PARTIAL, Keys: []uint32{0}, Calls: one},
		{Phase: jobgraph.Phase_PHASE_FINAL, Keys: []uint32{0}, Calls: one},
		{Phase: jobgraph.Phase_PHASE_PARTIAL, Keys: []uint32{0}, Calls: calls(in, "MAX(1) -> INT"), Retracting: true},
		{Phase: jobgraph.Phase_PHASE_PARTIAL, Keys: []uint32{0}, Calls: calls(in, "SUM(1) DISTINCT -> INT")},
	} {
		if _, err := updateagg.New(spec, in, out); err == nil {
			t.Errorf("%v accepted", spec)
		}
	}
}

func TestDamagedState(t *testing.T) {
	in := operatortest.ParseSchema(closingIn)
	spec := closingSpec(0, false)
	op, err := updateagg.New(spec, in, outputOf(spec, in))
	if err != nil {
		t.Fatal(err)
	}
	ctx := &operator.Context{Context: context.Background(), Memory: unlimited{}, Restored: [][]byte{{}}}
	if err := op.Open(ctx); failure.Of(err) != failure.BadData {
		t.Errorf("opened: %v", err)
	}
	if err := op.Close(); err != nil {
		t.Error(err)
	}
}

// A partial phase passes on what it has when held long enough, at watermarks and at
// barriers; what was taken back counts less than nothing.
func TestPartialPhase(t *testing.T) {
	in := operatortest.ParseSchema("k STRING, v INT")
	spec := specOf(calls(in, "SUM(1) -> INT", "COUNT(1) -> BIGINT NOT NULL"), []uint32{0}, true)
	spec.Phase, spec.HoldMillis = jobgraph.Phase_PHASE_PARTIAL, 100
	d := newDriver(t, spec, in, operatortest.ParseSchema("k STRING, sum INT NOT NULL, values BIGINT NOT NULL, n BIGINT NOT NULL, rows BIGINT NOT NULL"))
	tick := func(ms int64) { d.do(d.op.(operator.Ticker).Tick(time.UnixMilli(ms))) }
	d.rows("a | 1", "b | 2")
	tick(1000)
	d.rows("-D a | 5", "-D c | NULL")
	tick(1099)
	d.says()
	tick(1100)
	d.says("a | -4 | 0 | 0 | 0", "b | 2 | 1 | 1 | 1", "c | 0 | 0 | 0 | -1")
	d.rows("a | 1")
	d.do(d.op.Watermark(1))
	d.says("a | 1 | 1 | 1 | 1")
	d.rows("a | 2")
	d.snapshot(state.Everything)
	d.says("a | 2 | 1 | 1 | 1")
	d.rows("a | 3")
	d.close()
	d.says("a | 3 | 1 | 1 | 1")
}
