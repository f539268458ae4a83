package order

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// Limit is the operator of a jobgraph.Limit: it skips offset rows and passes
// limit rows on.
type Limit struct {
	from, to int64 // rows that pass, counted from the first
	seen     int64
	ctx      *operator.Context
}

// NewLimit returns the operator that spec describes.
func NewLimit(spec *jobgraph.Limit) (operator.Operator, error) {
	l := &Limit{from: spec.Offset, to: math.MaxInt64}
	if spec.Offset < 0 || spec.Limit < -1 {
		return nil, fmt.Errorf("limit: offset %d, limit %d", spec.Offset, spec.Limit)
	}
	if spec.Limit >= 0 && spec.Limit < math.MaxInt64-spec.Offset {
		l.to = spec.Offset + spec.Limit
	}
	return l, nil
}

// Open implements operator.Operator.
func (l *Limit) Open(ctx *operator.Context) error {
	l.ctx = ctx
	for _, saved := range ctx.Restored {
		n, used := binary.Varint(saved)
		if used <= 0 {
			return fmt.Errorf("limit: saved state of %d bytes is damaged", len(saved))
		}
		l.seen += n
	}
	return nil
}

// Done implements operator.Finisher.
func (l *Limit) Done() bool { return l.seen >= l.to }

// Process implements operator.Operator.
func (l *Limit) Process(_ int, b *stream.Batch) error {
	n := int64(b.Len())
	first := l.seen
	l.seen += n
	if first >= l.from && l.seen <= l.to {
		return l.ctx.Output.Emit(b)
	}
	defer b.Release()
	from, to := max(l.from-first, 0), min(l.to-first, n)
	if from >= to {
		return nil
	}
	return l.ctx.Output.Emit(compute.SliceBatch(b, int(from), int(to)))
}

// Watermark implements operator.Operator.
func (l *Limit) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (l *Limit) EndInput(int) error { return nil }

// Snapshot implements operator.Snapshotter: how many rows there have been.
func (l *Limit) Snapshot(stream.Barrier) ([]byte, error) {
	return binary.AppendVarint(nil, l.seen), nil
}

// Completed implements operator.Snapshotter.
func (l *Limit) Completed(id.Checkpoint) error { return nil }

// Close implements operator.Operator.
func (l *Limit) Close() error { return nil }

// Union is the operator of a jobgraph.Union: it passes every input through.
type Union struct{ out operator.Output }

// NewUnion returns the operator.
func NewUnion() operator.Operator { return &Union{} }

// Open implements operator.Operator.
func (u *Union) Open(ctx *operator.Context) error {
	u.out = ctx.Output
	return nil
}

// Process implements operator.Operator.
func (u *Union) Process(_ int, b *stream.Batch) error { return u.out.Emit(b) }

// Watermark implements operator.Operator.
func (u *Union) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (u *Union) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (u *Union) Close() error { return nil }

var (
	_ operator.Operator    = (*Limit)(nil)
	_ operator.Finisher    = (*Limit)(nil)
	_ operator.Snapshotter = (*Limit)(nil)
	_ operator.Operator    = (*Union)(nil)
)
