package hashtable

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

var listForms = [][]string{
	{"BIGINT"},
	{"STRING"},
	{"INT", "STRING", "DOUBLE"},
	{"DECIMAL(30, 2)", "BOOLEAN", "BYTES", "TIMESTAMP(3)"},
}

// Lists are what slices of printed rows would be, whatever is added, found, written
// and removed, also when memory runs out.
func TestLists(t *testing.T) {
	for _, types := range listForms {
		t.Run(fmt.Sprint(types), func(t *testing.T) {
			for seed := range uint64(12) {
				listsAtRandom(t, schemaOf(t, types...), seed)
			}
		})
	}
}

const listSlots = 30

// twin is a naive copy: the printed rows of each slot.
type twin struct {
	t      *testing.T
	mem    *memory.CheckedAllocator
	r      *rand.Rand
	schema datatype.Schema
	lists  *Lists
	rows   [listSlots][]string
}

func listsAtRandom(t *testing.T, schema datatype.Schema, seed uint64) {
	x := &twin{t: t, mem: memory.NewCheckedAllocator(memory.NewGoAllocator()), r: rand.New(rand.NewPCG(seed, 3)), schema: schema}
	account := &budget{limit: math.MaxInt64}
	if seed%3 == 2 {
		account.limit = int64(x.r.IntN(60_000))
	}
	var err error
	if x.lists, err = NewLists(schema, account); err != nil {
		t.Fatal(err)
	}
	for x.lists.Slots(listSlots) != nil {
		account.limit += 1000
	}
	for range 40 {
		switch x.r.IntN(6) {
		case 0:
			x.empty()
		case 1, 2:
			x.retract()
		case 3:
			if err := x.lists.Compact(); err != nil && !errors.Is(err, errExhausted) {
				t.Fatal(err)
			}
		default:
			if err := x.add(); errors.Is(err, errExhausted) {
				account.limit *= 2
			} else if err != nil {
				t.Fatal(err)
			}
		}
		x.check()
	}
	x.lists.Release()
	if account.used != 0 {
		t.Fatalf("%d bytes stay charged", account.used)
	}
	x.mem.AssertSize(t, 0)
}

// batch makes columns of few values, so that rows are equal, and slots for them.
func (x *twin) batch() (columns []arrow.Array, sel, slots []int32) {
	n := 1 + x.r.IntN(60)
	for _, f := range x.schema {
		columns = append(columns, randomColumn(x.r, x.mem, f.Type, n, 1+x.r.IntN(4), x.r.IntN(2) == 0, f.Type.IsString() && x.r.IntN(2) == 0))
	}
	if x.r.IntN(2) == 0 {
		sel = []int32{}
		for i := range n {
			if x.r.IntN(3) > 0 {
				sel = append(sel, int32(i))
			}
		}
		n = len(sel)
	}
	for range n {
		slots = append(slots, int32(x.r.IntN(listSlots)))
	}
	return columns, sel, slots
}

func (x *twin) add() error {
	columns, sel, slots := x.batch()
	defer compute.ReleaseAll(columns)
	if err := x.lists.Add(slots, columns, sel, nil); err != nil {
		return err
	}
	for i, s := range slots {
		x.rows[s] = append(x.rows[s], printed(columns, rowOf(sel, i)))
	}
	return nil
}

// retract finds rows of a batch, and removes those that were found.
func (x *twin) retract() {
	columns, sel, slots := x.batch()
	defer compute.ReleaseAll(columns)
	for i := range slots {
		if x.r.IntN(10) == 0 {
			slots[i] = -1
		}
	}
	rows := make([]int32, len(slots))
	if err := x.lists.Match(slots, columns, sel, rows); err != nil {
		x.t.Fatal(err)
	}
	var gone []int32
	for i, s := range slots {
		at := -1
		if s >= 0 {
			at = slices.Index(x.rows[s], printed(columns, rowOf(sel, i)))
		}
		if at >= 0 != (rows[i] >= 0) {
			x.t.Fatalf("row %d: found %d, want place %d", i, rows[i], at)
		}
		if at >= 0 {
			x.rows[s] = slices.Delete(x.rows[s], at, at+1)
			gone = append(gone, rows[i])
		}
	}
	x.lists.Remove(gone)
}

func (x *twin) empty() {
	var slots []int32
	for s := range int32(listSlots) {
		if x.r.IntN(4) == 0 {
			slots = append(slots, s)
			x.rows[s] = nil
		}
	}
	x.lists.RemoveAll(slots)
}

func (x *twin) check() {
	x.t.Helper()
	first, next := x.lists.Chains()
	count := 0
	for s, want := range x.rows {
		rows, last := []int32{}, uint64(0)
		for r := first[s]; r >= 0; r = next[r] {
			if q := x.lists.Sequences()[r]; len(rows) > 0 && q <= last {
				x.t.Fatalf("sequence %d after %d", q, last)
			}
			rows, last = append(rows, r), x.lists.Sequences()[r]
		}
		rows = append(rows, -1)
		var columns []arrow.Array
		for i := range x.schema {
			c, err := x.lists.Take(x.mem, i, rows)
			if err != nil {
				x.t.Fatal(err)
			}
			columns = append(columns, c)
		}
		var got []string
		for i := range rows[:len(rows)-1] {
			got = append(got, printed(columns, i))
		}
		compute.ReleaseAll(columns)
		if !slices.Equal(got, want) {
			x.t.Fatalf("slot %d\ngot  %q\nwant %q", s, got, want)
		}
		count += len(want)
	}
	if x.lists.Count() != count {
		x.t.Fatalf("%d rows, want %d", x.lists.Count(), count)
	}
}

// Memory stays bounded while long texts come and go, first in first out or at random.
func TestListsGiveBack(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, random := range []bool{false, true} {
		account := &budget{limit: math.MaxInt64}
		l, err := NewLists(schemaOf(t, "STRING"), account)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Slots(1); err != nil {
			t.Fatal(err)
		}
		r, most := rand.New(rand.NewPCG(1, 1)), int64(0)
		var live []int32
		for round := range 100 {
			column := longTexts(mem, round)
			rows := make([]int32, column.Len())
			if err := l.Add(make([]int32, len(rows)), []arrow.Array{column}, nil, rows); err != nil {
				t.Fatal(err)
			}
			column.Release()
			live = append(live, rows...)
			if random {
				r.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
			}
			if n := len(live) - 5000; n > 0 {
				l.Remove(live[:n])
				live = slices.Clone(live[n:])
			}
			if err := l.Compact(); err != nil {
				t.Fatal(err)
			}
			if round == 20 {
				most = account.used
			}
		}
		if account.used > 2*most {
			t.Errorf("random %v: %d bytes after 100 rounds, %d after 20", random, account.used, most)
		}
		l.Release()
	}
}
