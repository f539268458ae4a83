package datagen

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/stream"
)

// reader generates the rows of its classes at the table's rate, first those of the one that
// is furthest behind: rows come about in their order.
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
	c, err := parseClass(s)
	if err != nil {
		return err
	}
	r.classes = append(r.classes, &generated{class: c, started: r.env.Now(), startRow: c.First})
	return nil
}

// Early implements connector.EarlyReader: a class without an end leaves no turn to the next
// one, which a subtask has after the job went on with fewer.
func (r *reader) Early() bool { return r.opts.rows < 0 }

// Ready implements connector.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Poll implements connector.Reader.
func (r *reader) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	soonest := time.Duration(-1)
	slices.SortFunc(r.classes, func(a, b *generated) int { return cmp.Compare(a.First, b.First) })
	for _, c := range r.classes {
		n, wait := r.due(c)
		if n > 0 {
			return r.generate(c, n), connector.NoWait, nil
		}
		if wait >= 0 && (soonest < 0 || wait < soonest) {
			soonest = wait
		}
	}
	if soonest < 0 {
		return nil, connector.ForSplit, nil // every class has ended
	}
	r.wake(soonest)
	return nil, connector.ForData, nil
}

// due returns how many rows of c may go out now, and if none how long to wait
// for the next; negative when c has ended.
func (r *reader) due(c *generated) (rows int64, wait time.Duration) {
	left := r.most
	if r.opts.rows >= 0 {
		left = min(left, (r.opts.rows-c.First+c.Step-1)/c.Step)
	}
	if left <= 0 {
		return 0, -1
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

func (r *reader) generate(c *generated, n int64) *stream.Batch {
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
	return stream.NewBatch(record)
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
