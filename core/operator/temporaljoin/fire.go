package temporaljoin

import (
	"cmp"
	"slices"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// firedKeys is how many keys are worked off at a time.
const firedKeys = 1 << 12

// fire joins the left rows that w has passed.
func (j *Join) fire(w stream.Watermark) error {
	for slots := range slices.Chunk(j.left.waiting.Due(w), firedKeys) {
		ends := j.due(slots, w)
		if len(j.rows) == 0 {
			continue
		}
		if err := j.match(ends); err != nil {
			return err
		}
		rows := slices.Clone(j.rows) // telling leaves some out
		if err := j.tell(); err != nil {
			return err
		}
		j.left.drop(rows, slots)
	}
	return nil
}

// due collects the rows of keys that w has passed, by key, and where those of each key
// end. Keys with others wait on.
func (j *Join) due(slots []int32, w stream.Watermark) (ends []int) {
	s := j.left
	first, next := s.lists.Chains()
	times := s.times()
	j.rows = j.rows[:0]
	for _, slot := range slots {
		before := len(j.rows)
		for r := first[slot]; r >= 0; r = next[r] {
			if s.passed(times[r], w) {
				j.rows = append(j.rows, r)
			} else {
				s.waiting.Add(s.millis(times[r]), slot)
			}
		}
		if len(j.rows) > before {
			ends = append(ends, len(j.rows))
		}
	}
	return ends
}

// match finds the version of each row that is due.
func (j *Join) match(ends []int) error {
	slots, err := j.versionSlots(ends)
	if err != nil {
		return err
	}
	j.found = sized(j.found, len(j.rows))
	first, next := j.versions.lists.Chains()
	at, gone := j.versions.times(), j.versions.lists.Fixed()[len(j.versions.schema)].Int64
	times := j.left.times()
	var versions []int32
	from := 0
	for i, end := range ends {
		versions = versions[:0]
		if slots[i] >= 0 {
			for r := first[slots[i]]; r >= 0; r = next[r] {
				versions = append(versions, r)
			}
		}
		// Of one time the last one to come is the last in the order.
		slices.SortStableFunc(versions, func(a, b int32) int { return cmp.Compare(at[a], at[b]) })
		for k := from; k < end; k++ {
			t := times[j.rows[k]] * j.left.factor
			after := sort.Search(len(versions), func(v int) bool { return at[versions[v]]*j.versions.factor > t })
			j.found[k] = -1
			if after > 0 && gone[versions[after-1]] == 0 {
				j.found[k] = versions[after-1]
			}
		}
		from = end
	}
	return nil
}

// versionSlots looks the keys of runs of rows up among the versions.
func (j *Join) versionSlots(ends []int) ([]int32, error) {
	heads := make([]int32, len(ends))
	from := 0
	for i, end := range ends {
		heads[i], from = j.rows[from], end
	}
	keys := make([]arrow.Array, len(j.left.keys))
	defer compute.ReleaseAll(keys)
	for i, k := range j.left.keys {
		var err error
		if keys[i], err = j.left.lists.Take(k, heads); err != nil {
			return nil, err
		}
	}
	s := j.versions
	s.hashes = compute.HashColumns(keys, nil, s.hashes)
	s.slots = sized(s.slots, len(heads))
	return s.slots, s.rows.Find(keys, nil, s.hashes, s.slots)
}

// tell emits the rows that are due with their versions.
func (j *Join) tell() error {
	if err := j.filter(); err != nil {
		return err
	}
	if !j.outer {
		kept := 0
		for i, v := range j.found {
			if v >= 0 {
				j.rows[kept], j.found[kept] = j.rows[i], v
				kept++
			}
		}
		j.rows, j.found = j.rows[:kept], j.found[:kept]
	}
	for from := 0; from < len(j.rows); from += j.ctx.BatchRows {
		to := min(from+j.ctx.BatchRows, len(j.rows))
		columns, err := j.gather(j.rows[from:to], j.found[from:to], nil)
		if err != nil {
			return err
		}
		out := operator.NewBatch(j.output, columns, to-from)
		compute.ReleaseAll(columns)
		if err := j.ctx.Output.Emit(out); err != nil {
			return err
		}
	}
	return nil
}

// filter takes the versions away for which the residual is not true.
func (j *Join) filter() error {
	if j.check == nil {
		return nil
	}
	for from := 0; from < len(j.rows); from += j.ctx.BatchRows {
		to := min(from+j.ctx.BatchRows, len(j.rows))
		found := j.found[from:to]
		columns, err := j.gather(j.rows[from:to], found, j.residual.Reads)
		if err != nil {
			return err
		}
		sel, err := j.check.SelectColumns(columns, to-from)
		compute.ReleaseAll(columns)
		if err != nil {
			return err
		}
		if sel == nil {
			continue
		}
		next := 0
		for i := range found {
			if next < len(sel) && int(sel[next]) == i {
				next++
				continue
			}
			found[i] = -1
		}
	}
	return nil
}

// gather returns the wanted columns (nil: all) of rows with versions.
func (j *Join) gather(rows, found []int32, wanted []bool) (out []arrow.Array, err error) {
	out = make([]arrow.Array, j.output.NumFields())
	width := len(j.left.schema)
	for i := range out {
		if wanted != nil && !wanted[i] {
			continue
		}
		if i < width {
			out[i], err = j.left.lists.Take(i, rows)
		} else {
			out[i], err = j.versions.lists.Take(i-width, found)
		}
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
	}
	return out, nil
}
