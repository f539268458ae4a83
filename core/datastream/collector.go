package datastream

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/process"
)

// Collector takes the rows that a function emits. It belongs to the function's goroutine.
type Collector[T any] struct {
	codec  *rows.Codec[T]
	rt     *process.Runtime
	schema *arrow.Schema
	side   int // -1: nobody reads it
	most   int
	rows   []T
	err    error // ends the function after the row in hand
}

func (c *Collector[T]) open(r *process.Runtime, side int) {
	c.rt, c.side, c.schema, c.most = r, side, c.codec.Schema().Arrow(), r.BatchRows()
}

// Emit emits a row. It goes on with others, at the latest when the rows in hand have been
// processed.
func (c *Collector[T]) Emit(v T) {
	if c.side < 0 || c.err != nil {
		return
	}
	if c.rows = append(c.rows, v); len(c.rows) >= c.most {
		c.err = c.send()
	}
}

// flush sends what is left.
func (c *Collector[T]) flush() error {
	if c.err == nil && len(c.rows) > 0 {
		c.err = c.send()
	}
	return c.err
}

func (c *Collector[T]) send() error {
	columns, err := c.codec.Encode(c.rt.Alloc(), c.rows)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(columns)
	n := len(c.rows)
	clear(c.rows) // texts are not kept
	c.rows = c.rows[:0]
	return c.rt.Emit(c.side, operator.NewBatch(c.schema, columns, n))
}
