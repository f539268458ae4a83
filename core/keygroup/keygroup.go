package keygroup

import "fmt"

// Limits of the number of groups of a job.
const (
	DefaultGroups = 1024
	MaxGroups     = 32768
)

// Group is a key group's number.
type Group uint16

// Of returns the group of a key's hash among groups. It uses the high half of
// the hash, because hash tables use the low bits: keys of one group must not
// collide in one corner of a table.
func Of(hash uint64, groups int) Group {
	return Group((hash >> 32) * uint64(groups) >> 32)
}

// Range is a contiguous range of groups, First inclusive, Last exclusive.
type Range struct{ First, Last Group }

// Len is the number of groups in r.
func (r Range) Len() int { return int(r.Last) - int(r.First) }

// Contains reports whether g lies in r.
func (r Range) Contains(g Group) bool { return r.First <= g && g < r.Last }

// String prints [first,last).
func (r Range) String() string { return fmt.Sprintf("[%d,%d)", r.First, r.Last) }

// Assignment says which subtask owns each group.
type Assignment struct {
	groups int
	bounds []Group // subtask i owns [bounds[i], bounds[i+1])
	owner  []uint16
}

// Even spreads groups over subtasks as contiguously and evenly as can be. It
// fails when there are more subtasks than groups, since some would own nothing.
func Even(groups, subtasks int) (*Assignment, error) {
	if groups < 1 || groups > MaxGroups {
		return nil, fmt.Errorf("key groups: %d is not between 1 and %d", groups, MaxGroups)
	}
	if subtasks < 1 || subtasks > groups {
		return nil, fmt.Errorf("parallelism %d is not between 1 and the %d key groups of the job", subtasks, groups)
	}
	a := &Assignment{groups: groups, bounds: make([]Group, subtasks+1), owner: make([]uint16, groups)}
	for i := range subtasks {
		first, last := i*groups/subtasks, (i+1)*groups/subtasks
		a.bounds[i], a.bounds[i+1] = Group(first), Group(last)
		for g := first; g < last; g++ {
			a.owner[g] = uint16(i)
		}
	}
	return a, nil
}

// Groups is the number of groups of the job.
func (a *Assignment) Groups() int { return a.groups }

// Subtasks is the number of owners.
func (a *Assignment) Subtasks() int { return len(a.bounds) - 1 }

// Owner is the subtask that owns the group of hash.
func (a *Assignment) Owner(hash uint64) uint32 { return uint32(a.owner[Of(hash, a.groups)]) }

// Owners maps every group to its subtask; callers in hot loops index it with Of
// and must not change it.
func (a *Assignment) Owners() []uint16 { return a.owner }

// Range is what subtask owns.
func (a *Assignment) Range(subtask int) Range {
	return Range{First: a.bounds[subtask], Last: a.bounds[subtask+1]}
}
