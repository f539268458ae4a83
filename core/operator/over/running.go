package over

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
)

// additive reports whether the accumulators of a call over rows are the sums,
// column by column, of those over parts of them.
func additive(c *jobgraph.AggregateCall) bool {
	switch c.Function {
	case "COUNT", "SUM", "SUM0", "AVG":
		return true
	}
	return false
}

// exact reports whether sums of columns can be taken apart again.
func exact(columns datatype.Schema) bool {
	for _, f := range columns {
		if s := hashtable.StorageOf(f.Type); s != hashtable.Integer && s != hashtable.Wide {
			return false
		}
	}
	return true
}

// count is, for each slot, how many up to it are valid, from where start says that
// its partition does.
func count(valid []bool, start, buf []int32) []int32 {
	out := resize(buf, len(valid))
	n := int32(0)
	for i, v := range valid {
		if int(start[i]) == i {
			n = 0
		}
		if v {
			n++
		}
		out[i] = n
	}
	return out
}

// subtract fills slots with the sums of frames [from, to), which are differences
// of totals; present counts the values of those.
func subtract(out, totals *state.Column, present, start, from, to []int32) {
	wide := hashtable.StorageOf(totals.Type) == hashtable.Wide
	for i := range from {
		if from[i] >= to[i] {
			continue
		}
		last, before := to[i]-1, from[i]-1
		n := present[last]
		if before >= start[i] {
			n -= present[before]
		}
		if out.Valid[i] = n > 0; wide {
			out.Dec128[i] = totals.Dec128[last]
			if before >= start[i] {
				out.Dec128[i] = out.Dec128[i].Sub(totals.Dec128[before])
			}
			continue
		}
		out.Int64[i] = totals.Int64[last]
		if before >= start[i] {
			out.Int64[i] -= totals.Int64[before]
		}
	}
}

// accumulate makes of each slot's value the sum of the slots up to it, from
// where start says that its partition does.
func accumulate(c *state.Column, start []int32) {
	valid := c.Valid
	switch hashtable.StorageOf(c.Type) {
	case hashtable.Integer:
		v := c.Int64
		for i := 1; i < len(start); i++ {
			if int(start[i]) != i {
				v[i] += v[i-1]
				valid[i] = valid[i] || valid[i-1]
			}
		}
	case hashtable.Real:
		v := c.Float64
		for i := 1; i < len(start); i++ {
			if int(start[i]) != i {
				v[i] += v[i-1]
				valid[i] = valid[i] || valid[i-1]
			}
		}
	default:
		v := c.Dec128
		for i := 1; i < len(start); i++ {
			if int(start[i]) != i {
				v[i] = v[i].Add(v[i-1])
				valid[i] = valid[i] || valid[i-1]
			}
		}
	}
}

// copySlots fills the slots of to with those of from that rows name; -1 leaves
// one empty.
func copySlots(to, from *state.Column, rows []int32) {
	switch hashtable.StorageOf(from.Type) {
	case hashtable.Integer:
		for i, r := range rows {
			if r >= 0 {
				to.Int64[i], to.Valid[i] = from.Int64[r], from.Valid[r]
			}
		}
	case hashtable.Real:
		for i, r := range rows {
			if r >= 0 {
				to.Float64[i], to.Valid[i] = from.Float64[r], from.Valid[r]
			}
		}
	default:
		for i, r := range rows {
			if r >= 0 {
				to.Dec128[i], to.Valid[i] = from.Dec128[r], from.Valid[r]
			}
		}
	}
}
