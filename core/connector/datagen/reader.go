package datagen

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/stream"
)

// reader generates the rows of its classes at the table's rate, in the order of all of
// them: of a batch no row comes before one of the batch before, so that none is late where
// a subtask goes on with the classes of several that had come to different rows.
type reader struct {
	opts    table
	fields  []field
	env     connector.ReaderEnv
	schema  *arrow.Schema
	ready   chan struct{}
	timer   *time.Timer
	classes []*generated
	most    int64 // rows of a batch
}

// batchText bounds the text of a batch, so that long texts come in fewer rows.
const batchText = 64 << 20

// generated is a class and the pace at which it is handed out.
type generated struct {
	class
	started  time.Time
	startRow int64
}

func newReader(opts table, s connector.SourceSpec, env connector.ReaderEnv) (*reader, error) {
	r := &reader{opts: opts, env: env, schema: s.Columns.Arrow(), ready: make(chan struct{}, 1)}
	text := int64(0)
	for _, c := range s.Columns {
		f := opts.fields[c.Name]
		if r.fields = append(r.fields, f); c.Type.IsString() || c.Type.IsBinary() {
			text += int64(f.length)
		}
	}
	r.most = min(int64(env.BatchRows), max(batchText/max(text, 1), 1))
	return r, nil
}

// Add implements connector.Reader.
func (r *reader) Add(s connector.Split) error {
	all, err := parseClasses(s)
	for _, c := range all {
		r.classes = append(r.classes, &generated{class: c, started: r.env.Now(), startRow: c.First})
	}
	return err
}

// Ready implements connector.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Poll implements connector.Reader.
func (r *reader) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	low, high := int64(math.MaxInt64), int64(math.MaxInt64)
	soonest := time.Duration(-1)
	for _, c := range r.classes {
		n, wait := r.due(c)
		if n == 0 && wait < 0 {
			continue // it has ended
		}
		low, high = min(low, c.First), min(high, c.First+n*c.Step)
		if n == 0 && (soonest < 0 || wait < soonest) {
			soonest = wait
		}
	}
	switch low {
	case math.MaxInt64:
		return nil, connector.ForSplit, nil // every class has ended
	case high: // that one waits
		r.wake(soonest)
		return nil, connector.ForData, nil
	}
	b, err := r.until(high)
	return b, connector.NoWait, err
}

// until returns what there is before row high, of which every class may hand out a batch.
func (r *reader) until(high int64) (*stream.Batch, error) {
	var parts []arrow.RecordBatch
	defer func() {
		for _, p := range parts {
			p.Release()
		}
	}()
	for _, c := range r.classes {
		if n := (min(high, r.end()) - c.First + c.Step - 1) / c.Step; n > 0 {
			parts = append(parts, r.generate(c, n))
		}
	}
	all, err := compute.ConcatRecords(r.env.Alloc, parts)
	if err != nil {
		return nil, fmt.Errorf("rows of %d classes: %w", len(parts), err)
	}
	return stream.NewBatch(all), nil
}

// end is the row behind the last one.
func (r *reader) end() int64 {
	if r.opts.rows >= 0 {
		return r.opts.rows
	}
	return math.MaxInt64
}

// due returns how many rows of c may go out now, and if none how long to wait
// for the next; negative when c has ended.
func (r *reader) due(c *generated) (rows int64, wait time.Duration) {
	if c.First >= r.end() {
		return 0, -1
	}
	left := max(r.most/int64(len(r.classes)), 1)
	if r.opts.rows >= 0 {
		left = min(left, (r.opts.rows-c.First+c.Step-1)/c.Step)
	}
	if r.opts.rate == 0 {
		return left, 0
	}
	elapsed := r.env.Now().Sub(c.started)
	past := int64(elapsed.Seconds() * float64(r.opts.rate)) // rows of all classes since the start
	n := min(left, (past-(c.First-c.startRow)+c.Step-1)/c.Step)
	if n > 0 {
		return n, 0
	}
	at := float64(c.First-c.startRow+1) / float64(r.opts.rate)
	return 0, max(time.Duration(at*float64(time.Second))-elapsed, time.Millisecond)
}

func (r *reader) wake(after time.Duration) {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(after, func() {
		select {
		case r.ready <- struct{}{}:
		default:
		}
	})
}

func (r *reader) generate(c *generated, n int64) arrow.RecordBatch {
	columns := make([]arrow.Array, len(r.fields))
	now := r.env.Now()
	for i, f := range r.fields {
		columns[i] = f.generate(r.env.Alloc, c.First, c.Step, int(n), now)
	}
	c.First += n * c.Step
	record := array.NewRecordBatch(r.schema, columns, n)
	for _, col := range columns {
		col.Release()
	}
	return record
}

// Snapshot implements connector.Reader.
func (r *reader) Snapshot() ([]connector.Split, error) {
	splits := make([]connector.Split, len(r.classes))
	for i, c := range r.classes {
		var err error
		if splits[i], err = c.split(); err != nil {
			return nil, err
		}
	}
	return splits, nil
}

// Close implements connector.Reader.
func (r *reader) Close() error {
	if r.timer != nil {
		r.timer.Stop()
	}
	return nil
}
