package checkpoint

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/keygroup"
)

func handle(name string, first, last uint32) *Handle {
	return &Handle{Path: name, FirstGroup: first, LastGroup: last}
}

func (c *Chain) text() string {
	var out []string
	for _, h := range c.Handles {
		out = append(out, fmt.Sprintf("%s@%d", h.Path, h.Snapshot))
	}
	for _, s := range c.Shares {
		out = append(out, fmt.Sprintf("%d-%d@%d", s.FirstGroup, s.LastGroup, s.Snapshot))
	}
	return fmt.Sprint(out)
}

// Pieces and shares stay as long as of any of their groups nothing later is whole.
func TestChainDropsWhatIsStale(t *testing.T) {
	c := &Chain{}
	for _, step := range []struct {
		handles []*Handle
		whole   keygroup.Range
		want    string
	}{
		{[]*Handle{handle("all", 0, 8)}, keygroup.Range{Last: 8}, "[all@1 0-8@1]"},
		{[]*Handle{handle("a", 1, 6)}, keygroup.Range{Last: 2}, "[all@1 a@2 0-8@1 0-2@2]"},
		{[]*Handle{handle("b", 2, 3), handle("c", 7, 8)}, keygroup.Range{First: 2, Last: 6}, "[all@1 a@2 b@3 c@3 0-8@1 0-2@2 2-6@3]"},
		{nil, keygroup.Range{}, "[all@1 a@2 b@3 c@3 0-8@1 0-2@2 2-6@3]"},
		{[]*Handle{handle("d", 6, 8)}, keygroup.Range{First: 6, Last: 8}, "[a@2 b@3 d@4 0-2@2 2-6@3 6-8@4]"},
		{[]*Handle{handle("new", 0, 8)}, keygroup.Range{Last: 8}, "[new@5 0-8@5]"},
	} {
		before := c.text()
		kept := *c
		c.Add(step.handles, step.whole, 8)
		if c.text() != step.want {
			t.Errorf("have %s, want %s", c.text(), step.want)
		}
		if kept.text() != before {
			t.Errorf("Add changed %s to %s, which an acknowledgement may hold", before, kept.text())
		}
	}
}

// What was written before the parallelism grew is of groups of other subtasks, too, which
// are nothing to the chain of one.
func TestChainOfOwnGroups(t *testing.T) {
	for _, own := range []keygroup.Range{{Last: 4}, {First: 4, Last: 8}} {
		c := &Chain{Handles: []*Handle{{Path: "all", LastGroup: 8, Snapshot: 1}}, Shares: []*Share{{LastGroup: 8, Snapshot: 1}}, Own: own}
		half := keygroup.Range{First: own.First, Last: own.First + 2}
		c.Add([]*Handle{handle("a", uint32(half.First), uint32(half.Last))}, half, 8)
		if len(c.Handles) != 2 {
			t.Errorf("groups %v: half of them are written again, and there is %s", own, c.text())
		}
		rest := keygroup.Range{First: half.Last, Last: own.Last}
		c.Add([]*Handle{handle("b", uint32(rest.First), uint32(rest.Last))}, rest, 8)
		if want := fmt.Sprintf("[a@2 b@3 %d-%d@2 %d-%d@3]", half.First, half.Last, rest.First, rest.Last); c.text() != want {
			t.Errorf("groups %v: have %s, want %s", own, c.text(), want)
		}
	}
}

func TestChainStale(t *testing.T) {
	c := &Chain{Shares: []*Share{{Snapshot: 2, LastGroup: 2}, {Snapshot: 4, FirstGroup: 1, LastGroup: 3}}}
	for n, want := range map[uint32][]bool{
		1: {true, true, true, false},
		2: {false, true, true, false},
		3: {false, true, true, false},
		4: nil,
	} {
		if got := c.Stale(n, 4); !slices.Equal(got, want) {
			t.Errorf("after snapshot %d: %v, want %v", n, got, want)
		}
	}
	c.Handles = []*Handle{{Path: "b", Snapshot: 3}, {Path: "a", Snapshot: 1}, {Path: "c", Snapshot: 3}}
	if c.Sort(); c.text() != "[a@1 b@3 c@3 0-2@2 1-3@4]" || c.Next() != 5 {
		t.Error(c.text(), c.Next())
	}
}

// Whoever has restored a chain goes on to a later one with what came since; to one of another
// past it does not.
func TestChainSince(t *testing.T) {
	own := keygroup.Range{Last: 6}
	had := &Chain{Own: own}
	had.Add([]*Handle{handle("all", 0, 8)}, keygroup.Range{Last: 8}, 8)
	had.Add([]*Handle{handle("a", 1, 6)}, keygroup.Range{Last: 2}, 8)
	now := *had
	check := func(what string, to *Chain, rest, gone string, ok bool) {
		t.Helper()
		handles, groups, err := to.Since(had, 8)
		list := &Chain{Handles: handles}
		stale := ""
		for g, is := range groups {
			if is {
				stale += fmt.Sprint(g)
			}
		}
		if list.text() != rest || stale != gone || (err == nil) != ok {
			t.Errorf("%s: have %s, groups %s, %v; want %s, groups %s, %v", what, list.text(), stale, err, rest, gone, ok)
		}
	}
	check("nothing since", &now, "[]", "", true)
	now.Add([]*Handle{handle("b", 3, 4)}, keygroup.Range{}, 8)
	check("changes", &now, "[b@3]", "", true)
	now.Add([]*Handle{handle("c", 2, 5)}, keygroup.Range{First: 2, Last: 5}, 8)
	check("a share", &now, "[c@4]", "234", true) // b is stale by then
	other := now
	other.Handles = slices.DeleteFunc(slices.Clone(now.Handles), func(h *Handle) bool { return h.Path == "a" })
	check("without one that is needed", &other, "[]", "", false)
	now.Add([]*Handle{handle("new", 0, 8)}, keygroup.Range{Last: 8}, 8)
	check("everything anew", &now, "[new@5]", "012345", true)
	had.Shares = append(had.Shares, &Share{FirstGroup: 6, LastGroup: 8, Snapshot: 9})
	check("what others have is nothing to it", &now, "[new@5]", "012345", true)
	fork := &Chain{Own: own}
	fork.Add([]*Handle{handle("all", 0, 8)}, keygroup.Range{Last: 8}, 8)
	check("before it", fork, "[]", "", false)
	fork.Add([]*Handle{handle("x", 1, 6)}, keygroup.Range{Last: 2}, 8)
	check("beside it", fork, "[]", "", false)
}
