package nexmark

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

// reader generates the events of its spans, the lowest first, at the table's rate.
type reader struct {
	o     options
	env   connector.ReaderEnv
	gen   *generator
	most  int64 // events of a batch, those that are not wanted included
	spans []span
	ready chan struct{}
	timer *time.Timer
}

// batchBytes bounds the text of a batch: large events come in fewer rows.
const batchBytes = 16 << 20

func newReader(o options, s connector.SourceSpec, env connector.ReaderEnv) (*reader, error) {
	gen, err := newGenerator(o, s, env.Alloc)
	if err != nil {
		return nil, err
	}
	rows := max(min(int64(env.BatchRows), batchBytes/int64(max(slices.Max(o.avg[:]), 100))), 1)
	// Where few events are wanted a batch passes over more of them, but not so many
	// that the reader does not answer.
	most := min(rows*o.total/max(o.share(gen.kinds), 1), 64*rows)
	return &reader{o: o, env: env, gen: gen, most: most, ready: make(chan struct{}, 1)}, nil
}

// wanted are the kinds of events that a predicate leaves.
func wanted(pred *predicate.Predicate) (kinds [3]bool) {
	for k := range kinds {
		kinds[k] = pred == nil || !pred.Prune(func(column string) (predicate.Summary, bool) {
			v := int64(k)
			return predicate.Summary{Min: v, Max: v, Nulls: 0, Rows: 1}, column == "event_type"
		})
	}
	return kinds
}

// share is the part of the events that are of these kinds, in totals.
func (o *options) share(kinds [3]bool) (n int64) {
	for k, p := range []int64{o.person, o.auction, o.bid} {
		if kinds[k] {
			n += p
		}
	}
	return n
}

// Add implements connector.Reader.
func (r *reader) Add(s connector.Split) error {
	next, err := parseSpan(s)
	if err != nil {
		return err
	}
	r.spans = append(r.spans, next)
	slices.SortStableFunc(r.spans, func(a, b span) int { return cmp.Compare(a.Next, b.Next) })
	return nil
}

// Early implements connector.EarlyReader: at full speed the next span is asked for
// while there is still something to do. With a rate it would be kept from others.
func (r *reader) Early() bool {
	left := int64(0)
	for _, s := range r.spans {
		left += s.End - s.Next
	}
	return r.o.tps == 0 && left <= 2*r.most
}

// Ready implements connector.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Poll implements connector.Reader.
func (r *reader) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	for len(r.spans) > 0 {
		s := &r.spans[0]
		if s.Next == s.End {
			r.spans = r.spans[1:]
			continue
		}
		n, wait := r.due(s)
		if n == 0 {
			r.wake(wait)
			return nil, connector.ForData, nil
		}
		b := r.gen.batch(s.Base, s.Next, n)
		s.Next += n
		if b != nil {
			return b, connector.NoWait, nil
		}
	}
	return nil, connector.ForSplit, nil
}

// due returns how many events of s may go out now, and if none how long to wait.
func (r *reader) due(s *span) (events int64, wait time.Duration) {
	left := min(r.most, s.End-s.Next)
	if s.Due == 0 || r.o.tps == 0 {
		return left, 0
	}
	past, done := time.Duration(r.env.Now().UnixNano()-s.Due), s.Next-s.First
	if past >= over(s.End-s.First, r.o.tps) {
		return left, 0
	}
	if n := min(left, int64(max(past, 0).Seconds()*float64(r.o.tps))-done); n > 0 {
		return n, 0
	}
	return 0, max(over(done+1, r.o.tps)-past, time.Millisecond)
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

// Snapshot implements connector.Reader.
func (r *reader) Snapshot() ([]connector.Split, error) {
	var splits []connector.Split
	for _, s := range r.spans {
		if s.Next == s.End {
			continue
		}
		split, err := s.split()
		if err != nil {
			return nil, err
		}
		splits = append(splits, split)
	}
	return splits, nil
}

// Close implements connector.Reader.
func (r *reader) Close() error {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.gen.close()
	return nil
}

var _ connector.EarlyReader = (*reader)(nil)
