package statetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

// ListSpec is a table with lists.
var ListSpec = state.TableSpec{
	ID: 4, Name: "rows", Keys: Spec.Keys,
	Values: datatype.Schema{{Name: "writes", Type: datatype.Of(datatype.BigInt)}},
	List: datatype.Schema{
		{Name: "text", Type: datatype.Of(datatype.Varchar)},
		{Name: "number", Type: datatype.Of(datatype.Int)},
		{Name: "marks", Type: datatype.Of(datatype.BigInt)},
	},
	Evictable: true,
}

// entry is what the twin knows of a key.
type entry struct {
	writes int64
	rows   []string
}

func (e entry) String() string { return fmt.Sprintf("%d [%s]", e.writes, strings.Join(e.rows, " ")) }

// history is a life of a table with lists: written to, snapshotted and restored, beside
// a twin.
type history struct {
	*fixture
	r       *rand.Rand
	backend state.Backend
	table   state.Table
	twin    map[int64]map[string]entry
	chain   []written
}

// histories: whatever was written, removed and dropped between which snapshots, a
// restore of all of them is what was there at the last one, for any ranges of groups;
// and life goes on from there.
func histories(t *testing.T, f Factory) {
	for seed := range uint64(12) {
		h := &history{fixture: start(t, f), r: rand.New(rand.NewPCG(seed, 7)), twin: map[int64]map[string]entry{}}
		h.adopt(h.open(All))
		for range 12 {
			for range h.r.IntN(8) {
				h.step()
			}
			h.compare(h.table, h.twin)
			h.snapshot()
		}
		if err := h.backend.Close(); err != nil {
			t.Fatal(err)
		}
		for _, w := range h.chain {
			w.release()
		}
		h.end()
	}
}

func (h *history) adopt(b state.Backend) {
	h.t.Helper()
	table, err := b.Table(ListSpec)
	if err != nil {
		h.t.Fatal(err)
	}
	h.backend, h.table = b, table
}

// step does one thing to the table and its twin.
func (h *history) step() {
	defer relieve(h.t, h.backend)
	ns := h.r.Int64N(3)
	switch h.r.IntN(13) {
	case 0:
		h.table.Drop(ns)
		delete(h.twin, ns)
	case 1, 2:
		h.remove(ns)
	case 3, 4:
		h.retract(ns)
	case 5:
		h.mark(ns)
	case 6:
		h.replace(ns)
	default:
		h.add(ns)
	}
}

// batch makes keys and rows for their lists.
func (h *history) batch() (keys, rows []arrow.Array) {
	n := 1 + h.r.IntN(150)
	text, number := array.NewStringBuilder(h.mem), array.NewInt32Builder(h.mem)
	marks := array.NewInt64Builder(h.mem)
	defer text.Release()
	defer number.Release()
	defer marks.Release()
	for range n {
		if x := h.r.IntN(3); x == 0 {
			text.AppendNull()
		} else {
			text.Append(strings.Repeat("x", x*h.r.IntN(20)))
		}
		number.Append(h.r.Int32N(3))
		marks.Append(0)
	}
	return h.keys(h.r, n, 60), []arrow.Array{text.NewArray(), number.NewArray(), marks.NewArray()}
}

func printedRow(rows []arrow.Array, i int) string {
	return fmt.Sprintf("%v/%v/%v", compute.ValueAt(rows[0], i), compute.ValueAt(rows[1], i), compute.ValueAt(rows[2], i))
}

func (h *history) rows(ns int64) state.Rows {
	h.t.Helper()
	rows, err := h.table.Namespace(ns)
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

// add writes the value of keys and appends to their lists.
func (h *history) add(ns int64) {
	rows := h.rows(ns)
	keys, columns := h.batch()
	defer compute.ReleaseAll(keys)
	defer compute.ReleaseAll(columns)
	slots := make([]int32, keys[0].Len())
	if err := rows.Resolve(keys, nil, compute.HashColumns(keys, nil, nil), slots); err != nil {
		h.t.Fatal(err)
	}
	if err := rows.Lists().Add(slots, columns, nil, nil); err != nil {
		h.t.Fatal(err)
	}
	if h.twin[ns] == nil {
		h.twin[ns] = map[string]entry{}
	}
	v := rows.Values()[0]
	for i, s := range slots {
		v.Int64[s]++
		v.Valid[s] = true
		key := printed(keys, i)
		e := h.twin[ns][key]
		h.twin[ns][key] = entry{e.writes + 1, append(slices.Clone(e.rows), printedRow(columns, i))}
	}
}

// find gives the slots of some keys, each once.
func (h *history) find(rows state.Rows) (keys []arrow.Array, slots []int32) {
	keys = h.keys(h.r, 1+h.r.IntN(20), 60)
	slots = make([]int32, keys[0].Len())
	if err := rows.Find(keys, nil, compute.HashColumns(keys, nil, nil), slots); err != nil {
		h.t.Fatal(err)
	}
	for i, s := range slots {
		if slices.Contains(slots[:i], s) {
			slots[i] = -1
		}
	}
	return keys, slots
}

// remove removes some keys.
func (h *history) remove(ns int64) {
	rows := h.rows(ns)
	keys, slots := h.find(rows)
	defer compute.ReleaseAll(keys)
	var gone []int32
	for i, s := range slots {
		if s >= 0 {
			gone = append(gone, s)
			delete(h.twin[ns], printed(keys, i))
		}
	}
	rows.Remove(gone)
}

// retract takes rows out of the lists of some keys, if they are there.
func (h *history) retract(ns int64) {
	rows := h.rows(ns)
	keys, columns := h.batch()
	defer compute.ReleaseAll(keys)
	defer compute.ReleaseAll(columns)
	slots := make([]int32, keys[0].Len())
	if err := rows.Find(keys, nil, compute.HashColumns(keys, nil, nil), slots); err != nil {
		h.t.Fatal(err)
	}
	found := make([]int32, len(slots))
	if err := rows.Lists().Match(slots, []arrow.Array{columns[0], columns[1], nil}, nil, found); err != nil {
		h.t.Fatal(err)
	}
	prefix := func(row string) string { return row[:strings.LastIndexByte(row, '/')] }
	var gone []int32
	for i, r := range found {
		key := printed(keys, i)
		e, want := h.twin[ns][key], prefix(printedRow(columns, i))
		at := slices.IndexFunc(e.rows, func(row string) bool { return prefix(row) == want })
		if at >= 0 != (r >= 0) {
			h.t.Fatalf("row %s of key %s: found %d, want place %d", want, key, r, at)
		}
		if r >= 0 {
			e.rows = slices.Delete(slices.Clone(e.rows), at, at+1)
			h.twin[ns][key] = e
			gone = append(gone, r)
		}
	}
	rows.Lists().RemoveRows(gone)
}

// mark writes to values and to rows of lists where they stand.
func (h *history) mark(ns int64) {
	rows := h.rows(ns)
	keys, slots := h.find(rows)
	defer compute.ReleaseAll(keys)
	first, next := rows.Lists().Chains()
	fixed, v := rows.Lists().Fixed(), rows.Values()[0]
	if fixed[0] != nil {
		h.t.Fatal("a column of texts is given as one of fixed width")
	}
	known := slices.DeleteFunc(slices.Clone(slots), func(x int32) bool { return x < 0 })
	var marked []int32
	for _, s := range known {
		for r := first[s]; r >= 0; r = next[r] {
			if h.r.IntN(2) == 0 {
				marked = append(marked, r)
			}
		}
	}
	rows.Touch(known)
	rows.Lists().TouchRows(marked)
	for i, s := range slots {
		if s < 0 {
			continue
		}
		key := printed(keys, i)
		e := h.twin[ns][key]
		e.rows = slices.Clone(e.rows)
		v.Int64[s]++
		e.writes++
		for at, r := 0, first[s]; r >= 0; at, r = at+1, next[r] {
			if slices.Contains(marked, r) {
				fixed[2].Int64[r]++
				e.rows[at] = fmt.Sprintf("%s/%d", e.rows[at][:strings.LastIndexByte(e.rows[at], '/')], fixed[2].Int64[r])
			}
		}
		h.twin[ns][key] = e
	}
}

// replace writes rows of lists anew where they stand.
func (h *history) replace(ns int64) {
	rows := h.rows(ns)
	keys, slots := h.find(rows)
	defer compute.ReleaseAll(keys)
	other, columns := h.batch()
	defer compute.ReleaseAll(other)
	defer compute.ReleaseAll(columns)
	first, next := rows.Lists().Chains()
	var replaced, sel []int32
	for i, s := range slots {
		if s < 0 {
			continue
		}
		key := printed(keys, i)
		e := h.twin[ns][key]
		e.rows = slices.Clone(e.rows)
		for at, r := 0, first[s]; r >= 0; at, r = at+1, next[r] {
			if by := h.r.Int32N(int32(2 * columns[0].Len())); int(by) < columns[0].Len() {
				replaced, sel = append(replaced, r), append(sel, by)
				e.rows[at] = printedRow(columns, int(by))
			}
		}
		h.twin[ns][key] = e
	}
	if err := rows.Lists().Replace(replaced, columns, sel); err != nil {
		h.t.Fatal(err)
	}
}

// snapshot takes one, restores it, whole and by ranges, and sometimes goes on with what
// was restored, or loses it.
func (h *history) snapshot() {
	h.t.Helper()
	scope := state.Changes
	if len(h.chain) == 0 || h.r.IntN(6) == 0 {
		scope = state.Everything
	}
	s, err := h.backend.Snapshot(scope)
	if err != nil {
		h.t.Fatal(err)
	}
	frozen := map[int64]map[string]entry{}
	for ns, keys := range h.twin {
		frozen[ns] = maps.Clone(keys)
	}
	for done := false; !done; { // what comes is not in the snapshot
		h.step()
		if done, err = s.Copy(1 + h.r.IntN(60)); err != nil {
			h.t.Fatal(err)
		}
	}
	w := write(h.t, s)
	if scope == state.Everything {
		for _, old := range h.chain {
			old.release()
		}
		h.chain = nil
	}
	h.chain = append(h.chain, w)
	cut := keygroup.Group(h.r.IntN(Groups-1) + 1)
	union := map[int64]map[string]entry{}
	for _, owned := range []keygroup.Range{{Last: cut}, {First: cut, Last: Groups}} {
		b := h.restored(owned, h.chain...)
		h.collect(b, union)
	}
	h.equal(union, frozen)
	clear(union)
	h.collect(h.resumed(All, h.r.IntN(len(h.chain)), h.chain), union)
	h.equal(union, frozen)
	if h.r.IntN(3) > 0 {
		return
	}
	if err := h.backend.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.twin = frozen
	h.adopt(h.restored(All, h.chain...))
}

// collect adds what a backend has to all, and closes it.
func (h *history) collect(b state.Backend, all map[int64]map[string]entry) {
	h.t.Helper()
	table, err := b.Table(ListSpec)
	if err != nil {
		h.t.Fatal(err)
	}
	for ns, keys := range h.content(table) {
		if all[ns] == nil {
			all[ns] = map[string]entry{}
		}
		maps.Copy(all[ns], keys)
	}
	if err := b.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// content is all that a table has.
func (h *history) content(table state.Table) map[int64]map[string]entry {
	h.t.Helper()
	out := map[int64]map[string]entry{}
	for _, ns := range table.Namespaces() {
		rows, err := table.Namespace(ns)
		if err != nil {
			h.t.Fatal(err)
		}
		out[ns] = map[string]entry{}
		count := 0
		each(h.t, rows, func(v state.View, slot int, key string, _ uint64) {
			l := v.Lists()
			first, next := l.Chains()
			var numbers []int32
			for r := first[slot]; r >= 0; r = next[r] {
				numbers = append(numbers, r)
			}
			var columns []arrow.Array
			for i := range ListSpec.List {
				c, err := l.Take(i, numbers)
				if err != nil {
					h.t.Fatal(err)
				}
				columns = append(columns, c)
			}
			e := entry{writes: v.Values()[0].Int64[slot]}
			for i := range numbers {
				e.rows = append(e.rows, printedRow(columns, i))
			}
			compute.ReleaseAll(columns)
			out[ns][key] = e
			count += len(numbers)
		})
		if n := rows.Lists().Count(); n > count {
			h.t.Fatalf("%d rows in lists, want %d", n, count)
		}
	}
	return out
}

func (h *history) compare(table state.Table, twin map[int64]map[string]entry) {
	h.t.Helper()
	h.equal(h.content(table), twin)
}

// equal compares contents; a namespace without keys is none.
func (h *history) equal(got, want map[int64]map[string]entry) {
	h.t.Helper()
	for ns := range int64(3) {
		for key := range got[ns] {
			if _, ok := want[ns][key]; !ok {
				h.t.Fatalf("namespace %d has key %s: %v", ns, key, got[ns][key])
			}
		}
		for key, e := range want[ns] {
			if g, ok := got[ns][key]; !ok || g.String() != e.String() {
				h.t.Fatalf("namespace %d key %s: %v (%v), want %v", ns, key, g, ok, e)
			}
		}
	}
}

// shares: while little changes, snapshots hold little, and after a while of them the
// first ones are needed no more.
func shares(t *testing.T, f Factory) {
	x := start(t, f)
	r := rand.New(rand.NewPCG(9, 9))
	for range 20 {
		if err := x.updateAmong(r, 0, 1000, 5000); err != nil {
			t.Fatal(err)
		}
	}
	var chain []written
	all := int64(0)
	for n := range 200 {
		scope := state.Changes
		if n == 0 {
			scope = state.Everything
		} else if err := x.updateAmong(r, 0, 50, 5000); err != nil {
			t.Fatal(err)
		}
		s, err := x.backend.Snapshot(scope)
		if err != nil {
			t.Fatal(err)
		}
		w := write(t, s)
		chain = append(chain, w)
		rows := int64(0)
		for _, p := range w.pieces {
			rows += p.Rows.NumRows()
		}
		if n == 0 {
			all = rows
		} else if rows > 50+150+all/Groups*2 {
			t.Errorf("snapshot %d after 50 changes has %d rows of %d", n, rows, all)
		}
	}
	covered := make([]bool, Groups)
	for _, w := range chain[100:] {
		for g := w.whole.First; g < w.whole.Last; g++ {
			covered[g] = true
		}
	}
	if slices.Contains(covered, false) {
		t.Error("100 snapshots do not make those before them needless")
	}
	b := x.restored(All, chain[100:]...)
	table, err := b.Table(Spec)
	if err != nil {
		t.Fatal(err)
	}
	check(t, table, x.twin)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, w := range chain {
		w.release()
	}
	x.end()
}

// churn: while keys and rows with long texts come and go, memory stays what those take
// that are there.
func churn(t *testing.T, f Factory) {
	x := start(t, f)
	table, err := x.backend.Table(ListSpec)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := table.Namespace(0)
	if err != nil {
		t.Fatal(err)
	}
	most := int64(0)
	for round := range 60 {
		k, n := array.NewStringBuilder(x.mem), array.NewInt32Builder(x.mem)
		marks := array.NewInt64Builder(x.mem)
		for i := range 1000 {
			k.Append(fmt.Sprintf("round %d key %d of 200 bytes: %0200d", round, i, i))
			n.Append(int32(i))
			marks.Append(0)
		}
		text, number, mark := k.NewArray(), n.NewArray(), marks.NewArray()
		k.Release()
		n.Release()
		marks.Release()
		keys, columns, slots := []arrow.Array{text, number}, []arrow.Array{text, number, mark}, make([]int32, 1000)
		err := rows.Resolve(keys, nil, compute.HashColumns(keys, nil, nil), slots)
		if err == nil {
			err = rows.Lists().Add(slots, columns, nil, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		compute.ReleaseAll(columns)
		rows.Remove(slots)
		if round < 20 {
			most = max(most, x.account.used)
		} else if x.account.used > most+most/10 {
			t.Fatalf("%d bytes after %d rounds, at most %d in the first 20", x.account.used, round, most)
		}
	}
	x.end()
}
