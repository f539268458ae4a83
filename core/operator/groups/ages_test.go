package groups_test

import (
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
)

// Groups are old when nothing has come for them in the time to live, those that came before
// the first tick in that time from it.
func TestAges(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	backend := memstate.New(1, keygroup.Range{Last: 1}, mem, unlimited{})
	defer backend.Close()
	keys := operatortest.ParseSchema("k BIGINT")
	table, err := backend.Table(state.TableSpec{ID: 1, Name: "groups", Keys: keys, Values: datatype.Schema{groups.Touched()}})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := table.Namespace(0)
	if err != nil {
		t.Fatal(err)
	}
	record := operatortest.Record(mem, keys, [][]any{{int64(0)}, {int64(1)}, {int64(2)}})
	defer record.Release()
	column, slots := []arrow.Array{record.Column(0)}, make([]int32, 3)
	if err := rows.Resolve(column, nil, compute.HashColumns(column, nil, nil), slots); err != nil {
		t.Fatal(err)
	}
	ages := groups.Ages{Keep: 1000}
	ages.Touch(rows, slots)
	for _, c := range []struct {
		at   int64
		came []int32 // behind the tick
		want []int32
	}{
		{100_000, nil, nil},
		{100_900, slots[:2], nil},
		{101_000, nil, slots[2:]},
		{101_899, nil, nil},
		{102_000, nil, slots[:2]},
	} {
		old, err := ages.Old(time.UnixMilli(c.at), rows)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(old)
		if !slices.Equal(old, c.want) {
			t.Errorf("at %d: %v are old, want %v", c.at, old, c.want)
		}
		rows.Remove(old)
		ages.Touch(rows, c.came)
	}
}

type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}
