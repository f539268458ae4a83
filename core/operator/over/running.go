package over

import (
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
