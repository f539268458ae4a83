package jobgraph

// MaxGroupingKeys is the most keys of an Expand: their bits leave room in a grouping
// id for the number of a set that occurs again.
const MaxGroupingKeys = 48

// IDs returns the grouping id of each set. Its bits are those of GROUPING_ID over
// the keys in order, the last key's being the lowest: 1 where the set lacks the
// key. Above them stands how many equal sets came before, which keeps the rows of
// repeated sets apart: GROUP BY keys and id.
func (e *Expand) IDs() []int64 {
	ids := make([]int64, len(e.Sets))
	before := map[int64]int64{}
	for i, s := range e.Sets {
		id := int64(1)<<len(e.Keys) - 1
		for _, k := range s.Keys {
			id &^= 1 << (len(e.Keys) - 1 - int(k))
		}
		ids[i] = id | before[id]<<len(e.Keys)
		before[id]++
	}
	return ids
}
