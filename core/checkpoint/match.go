package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// Match says which operator of a plan, by its place in now, goes on with the state of each
// operator of a former one: that of the same uid, or else the only one left whose state means
// the same, as exactly as the two plans agree; -1 where there is none. Where several are
// left that could take a state, nobody gets it and the error, one for each state, tells.
func Match(former, now []*KeptOperator) (to []int, unclear map[int]error) {
	to = make([]int, len(former))
	for i := range to {
		to[i] = -1
	}
	taken := make([]bool, len(now))
	pair := func(i, j int) { to[i], taken[j] = j, true }
	uids := map[string]int{}
	for j, o := range now {
		uids[o.Uid] = j
	}
	for i, o := range former {
		if j, ok := uids[o.Uid]; ok {
			pair(i, j)
		}
	}
	levels := 0
	for _, o := range former {
		levels = max(levels, len(o.GetKept().GetMeanings()))
	}
	for level := range levels {
		olds := byMeaning(former, level, func(i int) bool { return to[i] < 0 })
		news := byMeaning(now, level, func(j int) bool { return !taken[j] })
		for meaning, old := range olds {
			if fits := news[meaning]; len(old) == 1 && len(fits) == 1 {
				pair(old[0], fits[0])
			}
		}
	}
	loosest := levels - 1
	news := byMeaning(now, loosest, func(j int) bool { return !taken[j] })
	for _, old := range byMeaning(former, loosest, func(i int) bool { return to[i] < 0 }) {
		fits := news[former[old[0]].Kept.Meanings[loosest]]
		if len(fits) == 0 {
			continue
		}
		for _, i := range old {
			if unclear == nil {
				unclear = map[int]error{}
			}
			unclear[i] = failure.Errorf(failure.Conflict, "what is kept by %s may be that of %s: %d operators of the plan that it was taken of, and %d of this one, are alike but for conditions, which have changed",
				former[i].Title(), titles(now, fits), len(old), len(fits))
		}
	}
	return to, unclear
}

// byMeaning are the places of operators by what their state means.
func byMeaning(all []*KeptOperator, level int, wanted func(int) bool) map[string][]int {
	by := map[string][]int{}
	for i, o := range all {
		if m := o.GetKept().GetMeanings(); wanted(i) && level >= 0 && level < len(m) {
			by[m[level]] = append(by[m[level]], i)
		}
	}
	return by
}

// Title is what the operator is called in messages: its name and its uid.
func (o *KeptOperator) Title() string { return fmt.Sprintf("%s (%s)", o.GetName(), o.GetUid()) }

func titles(all []*KeptOperator, which []int) string {
	names := make([]string, len(which))
	for i, at := range which {
		names[i] = all[at].Title()
	}
	return strings.Join(names, " or ")
}

// Fit says how the columns of an operator's lists are found in its state of a former plan,
// nil where they stand as they did. That the state has not what the operator needs, or was
// made of rows which the operator would not have been given, is an error that names both.
func Fit(former, now *KeptOperator) ([]*Rearranged, error) {
	old, own := former.GetKept(), now.GetKept()
	if old == nil || own == nil {
		return nil, nil
	}
	for _, c := range own.Given {
		if slices.Contains(old.Asked, c) && !slices.Contains(old.Given, c) {
			return nil, failure.Errorf(failure.Conflict, "the state of %s has rows that a condition behind it dropped, which now stands before it", former.Title())
		}
	}
	var out []*Rearranged
	for _, table := range tables(old.Columns, own.Columns) {
		r, err := fitTable(table, columnsOf(old.Columns, table), columnsOf(own.Columns, table))
		if err != nil {
			return nil, fmt.Errorf("the state of %s: %w", former.Title(), err)
		}
		if r != nil {
			out = append(out, r)
		}
	}
	return out, nil
}

func tables(all ...[]*KeptColumn) (out []uint32) {
	for _, columns := range all {
		for _, c := range columns {
			if !slices.Contains(out, c.Table) {
				out = append(out, c.Table)
			}
		}
	}
	return out
}

func columnsOf(all []*KeptColumn, table uint32) (out []*KeptColumn) {
	for _, c := range all {
		if c.Table == table {
			out = append(out, c)
		}
	}
	return out
}

// fitTable finds the columns of a table among those that it had.
func fitTable(table uint32, old, own []*KeptColumn) (*Rearranged, error) {
	listed := !slices.ContainsFunc(own, func(c *KeptColumn) bool { return !c.Listed })
	out := &Rearranged{Table: table, Former: uint32(len(old))}
	used := make([]bool, len(old))
	for i, c := range own {
		at := find(old, used, c.Meaning)
		if !listed && i < len(old) && old[i].Meaning == c.Meaning {
			at = i
		}
		switch {
		case at < 0:
			return nil, failure.Errorf(failure.Conflict, "it has no column %s %s, which is kept now", c.Name, c.Type)
		case old[at].Type != c.Type:
			return nil, failure.Errorf(failure.Conflict, "its column %s is %s, and column %s is %s now", old[at].Name, old[at].Type, c.Name, c.Type)
		case !listed && at != i:
			return nil, failure.Errorf(failure.Conflict, "its column %s was column %d and is column %d now", old[at].Name, at+1, i+1)
		}
		used[at] = true
		out.From = append(out.From, uint32(at))
	}
	if gone := slices.Index(used, false); gone >= 0 && !listed {
		return nil, failure.Errorf(failure.Conflict, "it has a column %s, which is not kept any more", old[gone].Name)
	}
	if len(old) == len(own) && slices.IsSorted(out.From) {
		return nil, nil
	}
	return out, nil
}

// find is the first column of a meaning, if there is one that is not used yet such a one.
func find(all []*KeptColumn, used []bool, meaning string) int {
	first := -1
	for i, c := range all {
		if c.Meaning != meaning {
			continue
		}
		if !used[i] {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}
