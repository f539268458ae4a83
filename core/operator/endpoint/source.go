package endpoint

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/calc"
	"github.com/tidemill/tidemill/core/stream"
)

// SplitSource hands out the splits of one source to one subtask.
type SplitSource interface {
	// Next waits for a split; false means that there will never be one again. The
	// source makes one call at a time, from a goroutine of its own, and none after
	// false.
	Next(ctx context.Context) (connector.Split, bool, error)
}

// SourceDeps is what a source needs beside its spec.
type SourceDeps struct {
	Connector connector.Connector
	Splits    SplitSource
	// SlowSplits: Splits asks another process.
	SlowSplits bool
	// Filters are what the reader may drop rows by.
	Filters RowFilters
	// Now is processing time; nil: time.Now.
	Now func() time.Time
	// Metrics are the reader's; may be nil.
	Metrics *metric.Scope
	// Watermark says how watermarks are made of the rows of each split; nil: they are not
	// made here.
	Watermark *jobgraph.WatermarkAssigner
	Calc      calc.Deps // of its expressions
	// Rejects: records that are no rows are left out and counted, and go to side 1 if Sides.
	Rejects, Sides bool
}

// Source is the operator of a jobgraph.Source.
type Source struct {
	spec connector.SourceSpec
	deps SourceDeps
	ctx  *operator.Context

	reader     connector.Reader
	watermarks *watermarks     // nil: none are made here
	rejects    *aside.Rejects  // nil: a record that is no row is an error
	keyed      []*keyed        // the runtime filters that it was given
	loan       *memory.Loan    // nil: what the reader holds it keeps
	inner      context.Context // ends with Close
	cancel     context.CancelFunc
	asked      sync.WaitGroup
	answer     chan answer   // of the request that is out; nil: none is
	woken      chan struct{} // signalled when there is an answer
	wait       connector.Wait
	noMore     bool // there are no further splits
	// received counts the splits that this attempt was given.
	received uint64
	rows     int64
}

// answer is what SplitSource.Next returned.
type answer struct {
	split connector.Split
	ok    bool
	err   error
}

// NewSource returns the operator that reads what spec describes.
func NewSource(spec connector.SourceSpec, deps SourceDeps) (operator.Source, error) {
	if deps.Connector == nil || deps.Splits == nil {
		return nil, fmt.Errorf("source %s: no connector or no splits", spec.Table.Name)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Source{spec: spec, deps: deps}
	if deps.Rejects {
		s.rejects = aside.NewRejects(spec.Table.Name, deps.Now)
	}
	var err error
	if s.watermarks, err = newWatermarks(deps.Watermark, spec.Columns, deps.Calc, s.rejects); err != nil {
		return nil, fmt.Errorf("source %s: %w", spec.Table.Name, err)
	}
	return s, nil
}

// Open implements operator.Operator.
func (s *Source) Open(ctx *operator.Context) error {
	inner, cancel := context.WithCancel(ctx)
	s.ctx, s.inner, s.cancel = ctx, inner, cancel
	s.woken = make(chan struct{}, 1)
	filters, err := s.deps.Filters.open(ctx, s.spec.Columns)
	if err != nil {
		return s.failed("open", err)
	}
	for _, f := range filters {
		if k, ok := f.(*keyed); ok {
			s.keyed = append(s.keyed, k)
		}
	}
	if err := s.rejects.Open(ctx, s.deps.Sides); err != nil {
		return s.failed("open", err)
	}
	env := connector.ReaderEnv{
		Subtask: int(ctx.Attempt.Subtask.Index), Alloc: ctx.Alloc, Account: ctx.Memory, Metrics: s.deps.Metrics, BatchRows: ctx.BatchRows, Now: s.deps.Now,
		Filters: filters, SlowSplits: s.deps.SlowSplits,
	}
	if s.rejects != nil {
		env.Reject = func(r connector.Rejected) { s.rejects.Add(r.Place, r.Err, r.Data) }
	}
	reader, err := s.deps.Connector.Reader(inner, s.spec, env)
	if err != nil {
		return s.failed("open", err)
	}
	s.reader = reader
	if err := s.watermarks.open(ctx, reader); err != nil {
		return s.failed("open", err)
	}
	s.borrow()
	for _, saved := range ctx.Restored {
		_, splits, err := decodeSplits(saved)
		if err != nil {
			return s.failed("restore", err)
		}
		for _, split := range splits {
			if err := reader.Add(split); err != nil {
				return s.failed("restore split "+split.ID, err)
			}
		}
	}
	return nil
}

func (s *Source) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("source %s: %s: %w", s.spec.Table.Name, doing, err)
}

// Poll implements operator.Source.
func (s *Source) Poll() (operator.Status, error) {
	if s.spec.Limit > 0 && s.rows >= s.spec.Limit {
		return operator.Finished, nil
	}
	if err := s.receive(); err != nil {
		return operator.InvalidStatus, err
	}
	if r, ok := s.reader.(connector.EarlyReader); ok && !s.noMore && r.Early() {
		s.ask()
	}
	b, wait, err := s.poll()
	if err != nil {
		return operator.InvalidStatus, s.failed("read", err)
	}
	err = s.rejects.Emit()
	if err == nil {
		err = s.watermarks.hold()
	}
	if err != nil {
		if b != nil {
			b.Release()
		}
		return operator.InvalidStatus, err
	}
	s.wait = wait
	switch {
	case b != nil:
		s.wait = connector.NoWait
		return operator.More, s.emit(b)
	case wait == connector.ForData:
		return operator.Waiting, nil
	case s.noMore:
		return operator.Finished, nil
	}
	s.ask()
	return operator.Waiting, nil
}

// emit passes a batch on; there are some without rows where records are rejected.
func (s *Source) emit(b *stream.Batch) error {
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	s.rows += int64(b.Len())
	if s.watermarks != nil {
		return s.watermarks.emit(b)
	}
	return s.ctx.Output.Emit(b)
}

// Rejected is how many records were rejected, since it was opened.
func (s *Source) Rejected() int64 { return s.rejects.Count() }

// Ready implements operator.Source. It is to be asked for after each Poll.
func (s *Source) Ready() <-chan struct{} {
	if s.wait == connector.ForData {
		return s.reader.Ready()
	}
	return s.woken
}

// ask requests a split, unless a request is out.
func (s *Source) ask() {
	if s.answer != nil {
		return
	}
	ch, ctx := make(chan answer, 1), s.inner
	s.answer = ch
	s.asked.Go(func() {
		var a answer
		a.split, a.ok, a.err = s.deps.Splits.Next(ctx)
		ch <- a
		select {
		case s.woken <- struct{}{}:
		default:
		}
	})
}

// receive gives the reader the split that has arrived, if one has.
func (s *Source) receive() error {
	if s.answer == nil {
		return nil
	}
	select {
	case a := <-s.answer:
		s.answer = nil
		switch {
		case a.err != nil:
			return s.failed("ask for a split", a.err)
		case !a.ok:
			s.noMore = true
			return nil
		}
		s.received++
		if err := s.reader.Add(a.split); err != nil {
			return s.failed("add split "+a.split.ID, err)
		}
	default:
	}
	return nil
}

// Snapshot implements operator.Snapshotter: the splits in hand.
func (s *Source) Snapshot(stream.Barrier) ([]byte, error) {
	if err := s.receive(); err != nil {
		return nil, err
	}
	splits, err := s.reader.Snapshot()
	if err != nil {
		return nil, s.failed("snapshot", err)
	}
	return encodeSplits(s.received, splits), nil
}

// Completed implements operator.Snapshotter.
func (s *Source) Completed(id.Checkpoint) error { return nil }

// Process implements operator.Operator; a source has no inputs.
func (s *Source) Process(_ int, b *stream.Batch) error {
	b.Release()
	return failure.Errorf(failure.Internal, "source %s: it has no input", s.spec.Table.Name)
}

// Watermark implements operator.Operator.
func (s *Source) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (s *Source) EndInput(int) error { return nil }

// Filtered implements operator.Filtering.
func (s *Source) Filtered() (all []operator.FilterCounts) {
	for _, k := range s.keyed {
		all = append(all, k.done)
	}
	return all
}

// Close implements operator.Operator. It waits for the request that is out.
func (s *Source) Close() error {
	if s.cancel == nil {
		return nil
	}
	s.cancel()
	s.asked.Wait()
	s.cancel = nil
	s.rejects.Close()
	defer s.loan.End()
	if s.reader == nil {
		return nil
	}
	if err := s.reader.Close(); err != nil {
		return s.failed("close", err)
	}
	return nil
}

var (
	_ operator.Source      = (*Source)(nil)
	_ operator.Snapshotter = (*Source)(nil)
	_ operator.Filtering   = (*Source)(nil)
)
