package aggregate

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// Seen is the function, without arguments, that tells whether there is a row that its
// filter lets through: BOOLEAN NOT NULL. Unlike a count it changes with the first and the
// last row only.
const Seen = "$SEEN"

// seen counts rows.
type seen struct{ count }

func (*seen) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(datatype.Of(datatype.Boolean).NotNull(), to-from)
	for i, n := range acc[0].Int64[from:to] {
		out.Valid[i] = true
		if n > 0 {
			out.Int64[i] = 1
		}
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}
