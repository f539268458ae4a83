package aggregate

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// parts is an accumulator of bytes that grow with each row: an optional head, then
// what each row brought, so that merging is appending.
type parts struct{ kept int64 }

// grown implements keeper.
func (p *parts) grown() int64 {
	n := p.kept
	p.kept = 0
	return n
}

func (*parts) types() []datatype.Type { return []datatype.Type{datatype.Of(datatype.Varbinary)} }

// mergeParts appends accumulators to those of slots; head, which may be nil, tells how
// long the head is, which a slot that has one does without.
func (p *parts) mergeParts(c *state.Column, in arrow.Array, sel, slots []int32, head func([]byte) int) {
	sel, slots = present(in, sel, slots)
	texts := compute.NewTexts(in)
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		part := texts.At(r)
		if c.Valid[s] && head != nil {
			part = part[head(part):]
		}
		c.Bytes[s], c.Valid[s] = append(c.Bytes[s], part...), true
		p.kept += int64(len(part))
	}
}
