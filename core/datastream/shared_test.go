package datastream

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datastream/internal/rows"
)

// Each value of a list is dealt to one subtask of a restore, and to its own where their number
// is what it was; of a union everybody gets all. The bug that this keeps away: a subtask that
// was restored alone got what the others had and went on with.
func TestSharedListIsDealt(t *testing.T) {
	codec, err := rows.Of[int64]()
	if err != nil {
		t.Fatal(err)
	}
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	list := func(union bool, values ...int64) *SharedList[int64] {
		return &SharedList[int64]{Values: values, codec: codec, alloc: mem, union: union}
	}
	var former [][]byte
	for _, values := range [][]int64{{0, 2, 4}, {1}, {}} {
		data, err := list(false, values...).Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		former = append(former, data)
	}
	for _, c := range []struct {
		parallelism int
		want        string
	}{
		{3, "[[0 2 4] [1] []]"},
		{2, "[[0 4] [2 1]]"},
		{1, "[[0 2 4 1]]"},
		{5, "[[0] [2] [4] [1] []]"},
	} {
		got := make([][]int64, c.parallelism)
		for i := range got {
			one, all := list(false), list(true)
			for _, s := range []*SharedList[int64]{one, all} {
				if err := s.Restore(former, i, c.parallelism); err != nil {
					t.Fatal(err)
				}
			}
			if got[i] = one.Values; !slices.Equal(all.Values, []int64{0, 2, 4, 1}) {
				t.Errorf("subtask %d of %d has %v of the union", i, c.parallelism, all.Values)
			}
		}
		if have := fmt.Sprint(got); have != c.want {
			t.Errorf("%d subtasks have %s, want %s", c.parallelism, have, c.want)
		}
	}
}
