package datastream

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

// Generator makes the rows of a source. Which row is where must depend on nothing but its
// split and position: after a failure rows are made again from the positions of the last
// checkpoint.
type Generator[T any] struct {
	// Splits is how many sequences of rows there are; zero means one. Subtasks share them.
	Splits int
	// Next returns the row at a position, from 0 on, of a split; false: the split has ended
	// there. Several goroutines call it.
	Next func(split int, position int64) (T, bool)
	// Rate is how many rows a second a split gives; zero: as many as are taken.
	Rate int
	// Endless says that no split ends.
	Endless bool
}

// Generate is a source of generated rows.
func Generate[T any](e *Env, uid string, g Generator[T]) *Stream[T] {
	g.Splits = max(g.Splits, 1)
	return From[T](e, uid, Table{Connector: &generator[T]{Generator: g, codec: codecOf[T](e, uid)}})
}

// FromSlice is a source of the given rows, once.
func FromSlice[T any](e *Env, uid string, all []T) *Stream[T] {
	return Generate(e, uid, Generator[T]{Next: func(_ int, position int64) (row T, ok bool) {
		if position >= int64(len(all)) {
			return row, false
		}
		return all[position], true
	}})
}

// generator is the connector of a Generator.
type generator[T any] struct {
	Generator[T]

	codec *rows.Codec[T]
}

// Name implements connector.Connector.
func (g *generator[T]) Name() string { return "generator" }

// Describe implements connector.Connector.
func (g *generator[T]) Describe(context.Context, connector.Table, *predicate.Predicate) (connector.Description, error) {
	return connector.Description{Schema: g.codec.Schema(), Bounded: !g.Endless, Rows: -1, Bytes: -1, Files: -1}, nil
}

// generated is a split: where the next row is.
type generated struct {
	Split    int
	Position int64
}

func (s generated) encode() (connector.Split, error) {
	data, err := json.Marshal(s)
	return connector.Split{ID: fmt.Sprint(s.Split), Data: data}, err
}

func decodeGenerated(s connector.Split) (generated, error) {
	var g generated
	if err := json.Unmarshal(s.Data, &g); err != nil {
		return g, failure.Errorf(failure.Fatal, "decode split %s: %w", s.ID, err)
	}
	return g, nil
}

// Enumerator implements connector.Connector.
func (g *generator[T]) Enumerator(_ context.Context, s connector.SourceSpec, restored []byte) (connector.Enumerator, error) {
	e := &generatorSplits{subtasks: max(s.Parallelism, 1)}
	if restored != nil {
		if err := json.Unmarshal(restored, &e.left); err != nil {
			return nil, failure.Errorf(failure.Fatal, "restore splits: %w", err)
		}
		return e, nil
	}
	for i := range g.Splits {
		e.left = append(e.left, generated{Split: i})
	}
	return e, nil
}

// generatorSplits hands each split out once, always to the same subtask, so that none is
// behind the others of a subtask by all its rows.
type generatorSplits struct {
	subtasks int
	left     []generated
}

// Next implements connector.Enumerator.
func (e *generatorSplits) Next(_ context.Context, subtask int) (connector.Split, bool, error) {
	for i, s := range e.left {
		if s.Split%e.subtasks == subtask {
			e.left = slices.Delete(e.left, i, i+1)
			out, err := s.encode()
			return out, true, err
		}
	}
	return connector.Split{}, false, nil
}

// Return implements connector.Enumerator.
func (e *generatorSplits) Return(splits []connector.Split) {
	for _, s := range splits {
		if g, err := decodeGenerated(s); err == nil { // it was encoded here
			e.left = append(e.left, g)
		}
	}
}

// Snapshot implements connector.Enumerator.
func (e *generatorSplits) Snapshot() ([]byte, error) { return json.Marshal(e.left) }

// Close implements connector.Enumerator.
func (e *generatorSplits) Close() error { return nil }

// Reader implements connector.Connector.
func (g *generator[T]) Reader(_ context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	if !s.Columns.Equal(g.codec.Schema()) {
		return nil, failure.Errorf(failure.Internal, "a generator of %s is read as %s", g.codec.Schema(), s.Columns)
	}
	return &generatorReader[T]{of: g, env: env, ready: make(chan struct{}, 1)}, nil
}

// generatorReader reads its splits in turn.
type generatorReader[T any] struct {
	of     *generator[T]
	env    connector.ReaderEnv
	splits []*paced
	next   int
	last   string // the split of the last batch
	paused map[string]bool
	rows   []T
	ready  chan struct{}
	timer  *time.Timer
}

// paced is a split and the time since when it has been read.
type paced struct {
	generated

	began time.Time
	from  int64 // the position then
}

// Add implements connector.Reader.
func (r *generatorReader[T]) Add(s connector.Split) error {
	g, err := decodeGenerated(s)
	if err != nil {
		return err
	}
	r.splits = append(r.splits, &paced{g, r.env.Now(), g.Position})
	return nil
}

// Early implements connector.EarlyReader: all splits of the subtask are read in turn, for
// one that has no end would leave none to the others.
func (r *generatorReader[T]) Early() bool { return true }

// Poll implements connector.Reader.
func (r *generatorReader[T]) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	soonest := time.Duration(-1)
	for tries := len(r.splits); tries > 0; tries-- {
		r.next %= len(r.splits)
		s := r.splits[r.next]
		if r.paused[fmt.Sprint(s.Split)] {
			r.next++
			soonest = max(soonest, 0)
			continue
		}
		n, wait := r.due(s)
		if n == 0 {
			r.next++
			if soonest <= 0 || wait < soonest {
				soonest = wait
			}
			continue
		}
		ended := r.make(s, n)
		if ended {
			r.splits = slices.Delete(r.splits, r.next, r.next+1)
		} else {
			r.next++
		}
		if len(r.rows) > 0 {
			r.last = fmt.Sprint(s.Split)
			b, err := r.batch()
			return b, connector.NoWait, err
		}
	}
	if len(r.splits) == 0 {
		return nil, connector.ForSplit, nil
	}
	if soonest > 0 {
		r.wake(soonest)
	}
	return nil, connector.ForData, nil
}

// due is how many rows of a split may be given now, or how long to wait for the next.
func (r *generatorReader[T]) due(s *paced) (int64, time.Duration) {
	most := int64(r.env.BatchRows)
	if r.of.Rate == 0 {
		return most, 0
	}
	elapsed, given := r.env.Now().Sub(s.began), s.Position-s.from
	if n := int64(elapsed.Seconds()*float64(r.of.Rate)) - given; n > 0 {
		return min(n, most), 0
	}
	at := time.Duration(float64(given+1) / float64(r.of.Rate) * float64(time.Second))
	return 0, max(at-elapsed, time.Millisecond)
}

// make makes rows, and reports whether the split has ended behind them.
func (r *generatorReader[T]) make(s *paced, n int64) (ended bool) {
	r.rows = r.rows[:0]
	for range n {
		row, ok := r.of.Next(s.Split, s.Position)
		if !ok {
			return true
		}
		r.rows = append(r.rows, row)
		s.Position++
	}
	return false
}

func (r *generatorReader[T]) batch() (*stream.Batch, error) {
	columns, err := r.of.codec.Encode(r.env.Alloc, r.rows)
	if err != nil {
		return nil, err
	}
	defer compute.ReleaseAll(columns)
	return operator.NewBatch(r.of.codec.Schema().Arrow(), columns, len(r.rows)), nil
}

func (r *generatorReader[T]) wake(after time.Duration) {
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

// Ready implements connector.Reader.
func (r *generatorReader[T]) Ready() <-chan struct{} { return r.ready }

// Of implements connector.SplitReader.
func (r *generatorReader[T]) Of() string { return r.last }

// Splits implements connector.SplitReader.
func (r *generatorReader[T]) Splits() []string {
	out := make([]string, len(r.splits))
	for i, s := range r.splits {
		out[i] = fmt.Sprint(s.Split)
	}
	return out
}

// Pause implements connector.SplitReader.
func (r *generatorReader[T]) Pause(splits map[string]bool) {
	r.paused = splits
	r.wake(0)
}

// Snapshot implements connector.Reader.
func (r *generatorReader[T]) Snapshot() ([]connector.Split, error) {
	out := make([]connector.Split, 0, len(r.splits))
	for _, s := range r.splits {
		split, err := s.encode()
		if err != nil {
			return nil, err
		}
		out = append(out, split)
	}
	return out, nil
}

// Close implements connector.Reader.
func (r *generatorReader[T]) Close() error {
	if r.timer != nil {
		r.timer.Stop()
	}
	return nil
}

// Writer implements connector.Connector.
func (g *generator[T]) Writer(context.Context, connector.SinkSpec, connector.WriterEnv) (connector.Writer, error) {
	return nil, failure.Errorf(failure.Usage, "a generator cannot be written to")
}

// Committer implements connector.Connector.
func (g *generator[T]) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return nil, failure.Errorf(failure.Usage, "a generator cannot be written to")
}

var (
	_ connector.EarlyReader = (*generatorReader[int64])(nil)
	_ connector.SplitReader = (*generatorReader[int64])(nil)
)
