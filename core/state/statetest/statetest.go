package statetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// Groups is the number of key groups of the suite's jobs.
const Groups = 64

// All are the groups of a job with one subtask.
var All = keygroup.Range{Last: Groups}

// Factory makes an empty backend of a job with Groups key groups.
type Factory func(owned keygroup.Range, alloc memory.Allocator, account stream.Account) (state.Backend, error)

// Spec is the table that the suite uses.
var Spec = state.TableSpec{
	ID: 3, Name: "sums",
	Keys: datatype.Schema{
		{Name: "k", Type: datatype.Of(datatype.Varchar)}, {Name: "n", Type: datatype.Of(datatype.Int)},
	},
	Values: datatype.Schema{
		{Name: "sum", Type: datatype.Of(datatype.BigInt)},
		{Name: "mean", Type: datatype.Of(datatype.Double)},
		{Name: "total", Type: datatype.DecimalOf(38, 2)},
		{Name: "text", Type: datatype.Of(datatype.Varchar)},
	},
	Evictable: true,
}

// relieve moves keys out of memory, as a task does between elements.
func relieve(t *testing.T, b state.Backend) {
	t.Helper()
	if e, ok := b.(state.Evictor); ok && e.Crowded() {
		if err := e.Evict(); err != nil && !errors.Is(err, errExhausted) {
			t.Fatal(err)
		}
	}
}

// Run runs the suite.
func Run(t *testing.T, f Factory) {
	for name, test := range map[string]func(*testing.T, Factory){
		"random":     random,
		"isolation":  isolation,
		"restore":    restoreRanges,
		"declare":    declare,
		"exhausted":  exhausted,
		"write ends": writeEnds,
		"histories":  histories,
		"shares":     shares,
		"churn":      churn,
		"routed":     routed,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

// budget is an account with a limit.
type budget struct{ used, limit int64 }

var errExhausted = errors.New("account exhausted")

func (b *budget) Grow(n int64) error {
	if b.used+n > b.limit {
		return errExhausted
	}
	b.used += n
	return nil
}
func (b *budget) Shrink(n int64) { b.used -= n }

// fixture is a backend beside a naive twin: namespace, printed key -> sum.
type fixture struct {
	t       *testing.T
	factory Factory
	mem     *memory.CheckedAllocator
	account *budget
	backend state.Backend
	table   state.Table
	twin    map[int64]map[string]int64
}

func start(t *testing.T, f Factory) *fixture {
	t.Helper()
	x := &fixture{t: t, factory: f, mem: memory.NewCheckedAllocator(memory.NewGoAllocator()), account: &budget{limit: math.MaxInt64}, twin: map[int64]map[string]int64{}}
	x.backend = x.open(All)
	var err error
	if x.table, err = x.backend.Table(Spec); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *fixture) open(owned keygroup.Range) state.Backend {
	x.t.Helper()
	b, err := x.factory(owned, x.mem, x.account)
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// end closes the backend; nothing may be left.
func (x *fixture) end() {
	x.t.Helper()
	if err := x.backend.Close(); err != nil {
		x.t.Fatal(err)
	}
	x.mem.AssertSize(x.t, 0)
	if x.account.used != 0 {
		x.t.Fatalf("%d bytes stay charged", x.account.used)
	}
}

// keys makes key columns of n rows, with nulls.
func (x *fixture) keys(r *rand.Rand, n, distinct int) []arrow.Array {
	k, num := array.NewStringBuilder(x.mem), array.NewInt32Builder(x.mem)
	defer k.Release()
	defer num.Release()
	for range n {
		if id := r.IntN(distinct); id%7 == 0 {
			k.AppendNull()
			num.Append(int32(id))
		} else {
			k.Append(fmt.Sprintf("key %d, of some length", id))
			num.Append(int32(id % 3))
		}
	}
	return []arrow.Array{k.NewArray(), num.NewArray()}
}

func printed(keys []arrow.Array, row int) string {
	return fmt.Sprint(compute.ValueAt(keys[0], row), "|", compute.ValueAt(keys[1], row))
}

// update adds 1 to the sum of random keys.
func (x *fixture) update(r *rand.Rand, ns int64, n int) error { return x.updateAmong(r, ns, n, 40) }

// updateAmong adds 1 to the sums of random ones of so many keys.
func (x *fixture) updateAmong(r *rand.Rand, ns int64, n, distinct int) error {
	defer relieve(x.t, x.backend)
	rows, err := x.table.Namespace(ns)
	if err != nil {
		return err
	}
	keys := x.keys(r, n, distinct)
	defer compute.ReleaseAll(keys)
	var sel []int32
	if r.IntN(2) == 0 {
		sel = []int32{}
		for i := range n {
			if r.IntN(2) == 0 {
				sel = append(sel, int32(i))
			}
		}
	}
	hashes := compute.HashColumns(keys, sel, nil)
	slots := make([]int32, len(hashes))
	if err := rows.Resolve(keys, sel, hashes, slots); err != nil {
		return err
	}
	if x.twin[ns] == nil {
		x.twin[ns] = map[string]int64{}
	}
	v := rows.Values()
	for i, s := range slots {
		row := i
		if sel != nil {
			row = int(sel[i])
		}
		x.twin[ns][printed(keys, row)]++
		v[0].Int64[s]++
		v[0].Valid[s] = true
		v[1].Float64[s] = float64(v[0].Int64[s]) / 2
		v[1].Valid[s] = true
		v[2].Dec128[s] = v[2].Dec128[s].Add(v[2].Dec128[s])
		if v[0].Int64[s]%2 == 0 {
			v[3].Bytes[s], v[3].Valid[s] = fmt.Append(nil, v[0].Int64[s]), true
		}
	}
	return nil
}

// each calls do for every key.
func each(t *testing.T, rows state.Rows, do func(v state.View, slot int, key string, hash uint64)) {
	t.Helper()
	err := rows.Each(func(v state.View, from, to int) error {
		keys, err := v.Keys(from, to)
		if err != nil {
			return err
		}
		defer compute.ReleaseAll(keys)
		for i, h := range compute.HashColumns(keys, nil, nil) {
			do(v, from+i, printed(keys, i), h)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// check compares a table with the twin.
func check(t *testing.T, table state.Table, twin map[int64]map[string]int64) {
	t.Helper()
	got := map[int64]map[string]int64{}
	for _, ns := range table.Namespaces() {
		rows, err := table.Namespace(ns)
		if err != nil {
			t.Fatal(err)
		}
		each(t, rows, func(view state.View, slot int, key string, _ uint64) {
			v := view.Values()
			sum := v[0].Int64[slot]
			if got[ns] == nil {
				got[ns] = map[string]int64{}
			}
			if _, twice := got[ns][key]; twice {
				t.Fatalf("key %s comes twice", key)
			}
			got[ns][key] = sum
			if v[1].Float64[slot] != float64(sum)/2 || v[2].Valid[slot] || v[3].Valid[slot] != (sum >= 2) {
				t.Fatalf("values of slot %d do not belong together", slot)
			}
		})
	}
	if !maps.EqualFunc(got, twin, func(a, b map[string]int64) bool { return maps.Equal(a, b) }) {
		t.Fatalf("got  %v\nwant %v", got, twin)
	}
	if !slices.IsSorted(table.Namespaces()) {
		t.Fatalf("namespaces %v are not in order", table.Namespaces())
	}
}

func random(t *testing.T, f Factory) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		x := start(t, f)
		for range 30 {
			ns := r.Int64N(4) - 1
			if r.IntN(8) == 0 {
				x.table.Drop(ns)
				delete(x.twin, ns)
				continue
			}
			if err := x.update(r, ns, r.IntN(100)+1); err != nil {
				t.Fatal(err)
			}
			for ns, keys := range x.twin {
				if len(keys) == 0 {
					delete(x.twin, ns)
				}
			}
			check(t, x.table, x.twin)
		}
		x.end()
	}
}

// written is what a snapshot has written.
type written struct {
	whole  keygroup.Range
	pieces []state.Piece
}

func write(t *testing.T, s state.Snapshot) written {
	t.Helper()
	if err := state.Complete(s); err != nil {
		t.Fatal(err)
	}
	out := written{whole: s.Whole()}
	err := s.Write(context.Background(), func(p state.Piece) error {
		p.Rows.Retain()
		out.pieces = append(out.pieces, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
	return out
}

func clone(twin map[int64]map[string]int64) map[int64]map[string]int64 {
	out := map[int64]map[string]int64{}
	for ns, m := range twin {
		if len(m) > 0 {
			out[ns] = maps.Clone(m)
		}
	}
	return out
}

// isolation: what happens after Snapshot, Close included, is not in it.
func isolation(t *testing.T, f Factory) {
	r := rand.New(rand.NewPCG(1, 1))
	x := start(t, f)
	for ns := range int64(3) {
		if err := x.update(r, ns, 100); err != nil {
			t.Fatal(err)
		}
	}
	frozen := clone(x.twin)
	s, err := x.backend.Snapshot(state.Everything)
	if err != nil {
		t.Fatal(err)
	}
	x.table.Drop(1)
	if err := x.update(r, 0, 100); err != nil {
		t.Fatal(err)
	}
	if err := x.backend.Close(); err != nil {
		t.Fatal(err)
	}
	pieces := write(t, s)
	x.backend = x.restored(All, pieces)
	table, err := x.backend.Table(Spec)
	if err != nil {
		t.Fatal(err)
	}
	check(t, table, frozen)
	pieces.release()
	x.end()
}

func (w written) release() {
	for _, p := range w.pieces {
		p.Rows.Release()
	}
}

// restored is a backend with what snapshots, one after the other, have written.
func (x *fixture) restored(owned keygroup.Range, chain ...written) state.Backend {
	x.t.Helper()
	b := x.open(owned)
	x.restore(b, owned, 0, chain)
	return b
}

// resumed is restored, of a backend that has had so many of the snapshots before the others
// came, if it can go on so.
func (x *fixture) resumed(owned keygroup.Range, had int, chain []written) state.Backend {
	x.t.Helper()
	b := x.open(owned)
	if f, ok := b.(state.Forgetter); ok {
		x.restore(b, owned, 0, chain[:had])
		if err := f.Forget(whole(chain[had:])); err != nil {
			x.t.Fatal(err)
		}
	} else {
		had = 0
	}
	x.restore(b, owned, had, chain)
	return b
}

// restore gives a backend what snapshots after the first ones have written.
func (x *fixture) restore(b state.Backend, owned keygroup.Range, after int, chain []written) {
	x.t.Helper()
	staged := make(chan func() error, 3)
	go stageAll(b, owned, staged, after, chain)
	for restore := range staged {
		if err := restore(); err != nil {
			x.t.Error(err)
		}
	}
}

// whole says, by group, of which ones any of the snapshots holds everything.
func whole(chain []written) []bool {
	all := make([]bool, Groups)
	for _, w := range chain {
		for g := w.whole.First; g < w.whole.Last; g++ {
			all[g] = true
		}
	}
	return all
}

// stageAll prepares what is written for a backend, ahead of its turn if the backend can.
func stageAll(b state.Backend, owned keygroup.Range, to chan<- func() error, after int, chain []written) {
	defer close(to)
	for i, w := range chain {
		if i < after {
			continue
		}
		stale := whole(chain[i+1:])
		for _, p := range w.pieces {
			needed := false
			for g := p.Groups.First; g < p.Groups.Last; g++ {
				needed = needed || owned.Contains(g) && !stale[g]
			}
			if needed {
				to <- state.Stage(b, p, stale)
			}
		}
	}
}

// restoreRanges: backends that share the groups share the rows, and each finds
// its own in the batches whose groups say so.
func restoreRanges(t *testing.T, f Factory) {
	r := rand.New(rand.NewPCG(2, 1))
	x := start(t, f)
	for ns := range int64(3) {
		for range 5 {
			if err := x.update(r, ns, 200); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := x.backend.Snapshot(state.Everything)
	if err != nil {
		t.Fatal(err)
	}
	pieces := write(t, s)
	union := map[int64]map[string]int64{}
	for _, owned := range []keygroup.Range{{First: 0, Last: 10}, {First: 10, Last: 11}, {First: 11, Last: Groups}} {
		b := x.restored(owned, pieces)
		table, err := b.Table(Spec)
		if err != nil {
			t.Fatal(err)
		}
		collect(t, table, owned, union)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !maps.EqualFunc(union, x.twin, func(a, b map[string]int64) bool { return maps.Equal(a, b) }) {
		t.Fatalf("got  %v\nwant %v", union, x.twin)
	}
	pieces.release()
	x.end()
}

// collect adds a table's rows to union and checks that they are owned and new.
func collect(t *testing.T, table state.Table, owned keygroup.Range, union map[int64]map[string]int64) {
	t.Helper()
	for _, ns := range table.Namespaces() {
		rows, err := table.Namespace(ns)
		if err != nil {
			t.Fatal(err)
		}
		if union[ns] == nil {
			union[ns] = map[string]int64{}
		}
		each(t, rows, func(v state.View, slot int, key string, h uint64) {
			if _, twice := union[ns][key]; twice || !owned.Contains(keygroup.Of(h, Groups)) {
				t.Fatalf("key %s does not belong to groups %v, or is there twice", key, owned)
			}
			union[ns][key] = v.Values()[0].Int64[slot]
		})
	}
}

func declare(t *testing.T, f Factory) {
	x := start(t, f)
	if _, err := x.backend.Table(Spec); err == nil {
		t.Error("table opened twice")
	}
	if err := x.update(rand.New(rand.NewPCG(3, 1)), 0, 10); err != nil {
		t.Fatal(err)
	}
	s, err := x.backend.Snapshot(state.Everything)
	if err != nil {
		t.Fatal(err)
	}
	pieces := write(t, s)
	if err := x.backend.Restore(pieces.pieces[0], nil); err == nil {
		t.Error("restored after Table")
	}
	b := x.restored(All, pieces)
	other := Spec
	other.Values = Spec.Values[:2]
	if _, err := b.Table(other); err == nil {
		t.Error("opened with other columns than the restored ones")
	}
	wrong := pieces.pieces[0]
	wrong.Table = other
	if err := b.Restore(wrong, nil); err == nil {
		t.Error("restored with two sets of columns")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = x.open(All)
	if err := b.Restore(wrong, nil); err == nil {
		t.Error("restored rows of another width")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	pieces.release()
	x.end()
}

// exhausted: a Resolve that fails has added nothing, and the next one can succeed.
func exhausted(t *testing.T, f Factory) {
	r := rand.New(rand.NewPCG(4, 1))
	x := start(t, f)
	x.account.limit = 0
	failures := 0
	for range 200 {
		before := clone(x.twin)
		err := x.update(r, 0, 50)
		if errors.Is(err, errExhausted) {
			failures++
			x.account.limit += 4096
			x.twin = before
		} else if err != nil {
			t.Fatal(err)
		}
		check(t, x.table, clone(x.twin))
	}
	if failures == 0 {
		t.Error("no charge was ever refused")
	}
	x.end()
}

// writeEnds: Write passes on the error of emit and that of its context.
func writeEnds(t *testing.T, f Factory) {
	x := start(t, f)
	if err := x.update(rand.New(rand.NewPCG(5, 1)), 0, 100); err != nil {
		t.Fatal(err)
	}
	s, err := x.backend.Snapshot(state.Everything)
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Complete(s); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk full")
	emit := func(state.Piece) error { return broken }
	if err := s.Write(context.Background(), emit); !errors.Is(err, broken) {
		t.Errorf("error of emit came back as %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Write(ctx, emit); !errors.Is(err, context.Canceled) {
		t.Errorf("error of the context came back as %v", err)
	}
	s.Release()
	x.end()
}
