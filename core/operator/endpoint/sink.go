package endpoint

import (
	"fmt"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// SinkDeps is what a sink needs beside its spec.
type SinkDeps struct {
	Connector connector.Connector
	// Prepared takes the committables of a checkpoint, or, with checkpoint 0,
	// those of the end of input. It is called from the task's goroutine, in the
	// midst of Snapshot or EndInput, also without committables.
	Prepared func(checkpoint id.Checkpoint, c []connector.Committable) error
}

// Sink is the operator of a jobgraph.Sink. It emits nothing.
type Sink struct {
	spec   connector.SinkSpec
	deps   SinkDeps
	ctx    *operator.Context
	writer connector.Writer
}

// NewSink returns the operator that writes what spec describes.
func NewSink(spec connector.SinkSpec, deps SinkDeps) (operator.Operator, error) {
	if deps.Connector == nil || deps.Prepared == nil {
		return nil, fmt.Errorf("sink %s: no connector or nobody to publish", spec.Table.Name)
	}
	return &Sink{spec: spec, deps: deps}, nil
}

func (s *Sink) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sink %s: %s: %w", s.spec.Table.Name, doing, err)
}

// Open implements operator.Operator.
func (s *Sink) Open(ctx *operator.Context) (err error) {
	s.ctx = ctx
	s.writer, err = s.deps.Connector.Writer(ctx, s.spec, connector.WriterEnv{
		Attempt: ctx.Attempt, Alloc: ctx.Alloc, Account: ctx.Memory, Restored: ctx.Restored,
	})
	return s.failed("open", err)
}

// Process implements operator.Operator.
func (s *Sink) Process(_ int, b *stream.Batch) error {
	if err := failpoint.Hit(failpoint.SinkWrite); err != nil {
		b.Release()
		return s.failed("write", err)
	}
	return s.failed("write", s.writer.Write(s.ctx, b))
}

// Watermark implements operator.Operator.
func (s *Sink) Watermark(w stream.Watermark) error {
	if timed, ok := s.writer.(connector.TimedWriter); ok {
		return s.failed("advance event time", timed.Advance(int64(w)))
	}
	return nil
}

// EndInput implements operator.Operator: what was written is made ready to
// publish.
func (s *Sink) EndInput(int) error { return s.prepare(0) }

func (s *Sink) prepare(checkpoint id.Checkpoint) error {
	c, err := s.writer.Prepare(s.ctx)
	if err != nil {
		return s.failed("prepare", err)
	}
	return s.failed("hand over what is prepared", s.deps.Prepared(checkpoint, c))
}

// Snapshot implements operator.Snapshotter.
func (s *Sink) Snapshot(b stream.Barrier) ([]byte, error) {
	if err := s.prepare(b.Checkpoint); err != nil {
		return nil, err
	}
	saved, err := s.writer.Snapshot()
	return saved, s.failed("snapshot", err)
}

// Completed implements operator.Snapshotter: publishing is the committer's.
func (s *Sink) Completed(id.Checkpoint) error { return nil }

// Close implements operator.Operator.
func (s *Sink) Close() error {
	if s.writer == nil {
		return nil
	}
	w := s.writer
	s.writer = nil
	return s.failed("close", w.Close())
}

var (
	_ operator.Operator    = (*Sink)(nil)
	_ operator.Snapshotter = (*Sink)(nil)
)
