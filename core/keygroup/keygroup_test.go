package keygroup

import (
	"testing"

	"pgregory.net/rapid"
)

// Every group has exactly one owner, ranges are contiguous, and sizes differ by
// at most one: a rescale may move groups, it may never lose or share one.
func TestEvenCoversEveryGroupOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.IntRange(1, 4096).Draw(t, "groups")
		subtasks := rapid.IntRange(1, min(groups, 300)).Draw(t, "subtasks")
		a, err := Even(groups, subtasks)
		if err != nil {
			t.Fatal(err)
		}
		next, least, most := Group(0), groups, 0
		for i := range subtasks {
			r := a.Range(i)
			if r.First != next {
				t.Fatalf("subtask %d starts at %d, want %d", i, r.First, next)
			}
			for g := r.First; g < r.Last; g++ {
				if a.Owners()[g] != uint16(i) {
					t.Fatalf("group %d: owner %d, want %d", g, a.Owners()[g], i)
				}
			}
			next, least, most = r.Last, min(least, r.Len()), max(most, r.Len())
		}
		if int(next) != groups || most-least > 1 {
			t.Fatalf("covered %d of %d, sizes %d..%d", next, groups, least, most)
		}
	})
}

func TestLimits(t *testing.T) {
	for _, c := range [][2]int{{0, 1}, {MaxGroups + 1, 1}, {8, 0}, {8, 9}} {
		if _, err := Even(c[0], c[1]); err == nil {
			t.Errorf("Even(%d, %d) gave no error", c[0], c[1])
		}
	}
	if g := Of(^uint64(0), DefaultGroups); g != DefaultGroups-1 {
		t.Errorf("largest hash: group %d", g)
	}
}
