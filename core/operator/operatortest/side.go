package operatortest

import (
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// Side is an operator whose output is the first side of another one, which is called name; what
// that emits otherwise is dropped.
func Side(name string, op operator.Operator) operator.Operator {
	return &sided{Operator: op, name: name}
}

type sided struct {
	operator.Operator
	name string
}

// side is the output of a sided operator.
type side struct{ to operator.Output }

func (s side) Emit(b *stream.Batch) error {
	b.Release()
	return nil
}

func (s side) EmitSide(_ int, b *stream.Batch) error { return s.to.Emit(b) }

func (s *sided) Open(ctx *operator.Context) error {
	head := *ctx
	head.Output, head.Name, head.Sides = side{ctx.Output}, s.name, 1
	return s.Operator.Open(&head)
}

func (s *sided) Snapshot(b stream.Barrier) ([]byte, error) {
	if op, ok := s.Operator.(operator.Snapshotter); ok {
		return op.Snapshot(b)
	}
	return nil, nil
}

func (s *sided) Completed(checkpoint id.Checkpoint) error {
	if op, ok := s.Operator.(operator.Snapshotter); ok {
		return op.Completed(checkpoint)
	}
	return nil
}

func (s *sided) LetGo() error {
	if op, ok := s.Operator.(operator.Holder); ok {
		return op.LetGo()
	}
	return nil
}
