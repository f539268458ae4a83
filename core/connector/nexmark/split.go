package nexmark

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// span is a split: the events from Next to End; Next moves as they are handed out.
type span struct {
	First, Next, End int64
	Base             int64 // event time of event 0, in milliseconds
	Due              int64 // when First is due by the clock, in nanoseconds; 0: at once
}

func (s span) split() (connector.Split, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return connector.Split{}, fmt.Errorf("encode split: %w", err)
	}
	return connector.Split{ID: fmt.Sprintf("%d to %d", s.First, s.End), Data: data}, nil
}

func parseSpan(s connector.Split) (span, error) {
	var r span
	err := json.Unmarshal(s.Data, &r)
	if err == nil && (r.First < 0 || r.Next < r.First || r.End < r.Next || r.End > 2*maxEvents) {
		err = fmt.Errorf("events %d to %d, from %d on", r.First, r.End, r.Next)
	}
	if err != nil {
		return r, failure.Errorf(failure.Fatal, "decode split %s: %w", s.ID, err)
	}
	return r, nil
}

// Lengths of spans: spanEvents at full speed; with a rate what is due within
// spanMillis, since a span is read by one subtask while the others are at their own,
// but spanLeast where few are due.
const (
	spanEvents = 1 << 17
	spanMillis = 10
	spanLeast  = 16
)

// enumerator hands spans out in ascending order to whoever asks.
type enumerator struct {
	o    options
	size int64
	now  func() time.Time

	progress
	started time.Time // when start was next
	start   int64
}

// progress is the enumerator's snapshot.
type progress struct {
	Next     int64 // the first event of no span
	Base     int64
	Returned []connector.Split
}

func newEnumerator(o options, s connector.SourceSpec, restored []byte) (*enumerator, error) {
	e := &enumerator{o: o, now: time.Now, progress: progress{Next: o.first, Base: o.base}}
	switch {
	case o.tps > 0:
		e.size = max(min(o.tps*spanMillis/1000, spanEvents), spanLeast)
	case o.num > 0: // a few for each subtask
		e.size = max(min(o.num/int64(8*max(s.Parallelism, 1)), spanEvents), spanLeast)
	default:
		e.size = spanEvents
	}
	if o.now {
		e.Base = e.now().UnixMilli() - o.first*1000/o.rate
	}
	if restored != nil {
		if err := json.Unmarshal(restored, &e.progress); err != nil {
			return nil, failure.Errorf(failure.Fatal, "table %s: restore splits: %w", s.Table.Name, err)
		}
	}
	e.start, e.started = e.progress.Next, e.now()
	return e, nil
}

// Next implements connector.Enumerator.
func (e *enumerator) Next(context.Context, int) (connector.Split, bool, error) {
	if len(e.Returned) > 0 {
		s := e.Returned[0]
		e.Returned = e.Returned[1:]
		return s, true, nil
	}
	first := e.progress.Next
	if first >= e.o.end() {
		return connector.Split{}, false, nil
	}
	s := span{First: first, Next: first, End: min(first+e.size, e.o.end()), Base: e.Base}
	if e.o.tps > 0 {
		s.Due = e.started.Add(over(first-e.start, e.o.tps)).UnixNano()
	}
	e.progress.Next = s.End
	split, err := s.split()
	return split, err == nil, err
}

// over is the time that n events take at a rate.
func over(n, rate int64) time.Duration {
	return time.Duration(n/rate)*time.Second + time.Duration(n%rate)*time.Second/time.Duration(rate)
}

// Return implements connector.Enumerator.
func (e *enumerator) Return(splits []connector.Split) {
	e.Returned = slices.Concat(splits, e.Returned)
	slices.SortStableFunc(e.Returned, func(a, b connector.Split) int {
		x, _ := parseSpan(a) // what cannot be read fails where it is read
		y, _ := parseSpan(b)
		return cmp.Compare(x.Next, y.Next)
	})
}

// Snapshot implements connector.Enumerator.
func (e *enumerator) Snapshot() ([]byte, error) { return json.Marshal(e.progress) }

// Close implements connector.Enumerator.
func (e *enumerator) Close() error { return nil }
