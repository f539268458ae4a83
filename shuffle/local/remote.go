package local

import (
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// Watched is what a shuffle server asks of the writers of a Service, besides what
// shuffle.Writer says, on behalf of a producer elsewhere. Any goroutine may call it.
type Watched interface {
	// Watch has c, of capacity one, signalled when Given grows, and when the lane's
	// attempt is fenced or the exchange dropped.
	Watch(c chan<- struct{})
	// Given is how much of the bytes that were sent to a partition has been read; of a
	// stored exchange, none.
	Given(partition uint32) int64
	// Err is why nothing more is taken, or nil.
	Err() error
	// Window is how many bytes that have not been read a producer elsewhere may have
	// sent to a partition; zero: any number.
	Window() int64
}

var _ Watched = (*writer)(nil)

// Watch implements Watched.
func (w *writer) Watch(c chan<- struct{}) {
	e := w.exchange
	for _, p := range e.pipesOf(w.lane) {
		p.watchLane(w, c)
	}
	if e.store == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := &e.lanes[w.lane]; l.attempt == w.attempt {
		l.watch = c
	}
}

// Given implements Watched. What is sent everywhere counts when it has been read
// everywhere.
func (w *writer) Given(part uint32) (least int64) {
	least = -1
	for i, p := range w.exchange.pipesOf(w.lane) {
		if !w.exchange.spec.Everywhere && uint32(i) != part {
			continue
		}
		if n := p.given(w); least < 0 || n < least {
			least = n
		}
	}
	return max(least, 0)
}

// Err implements Watched.
func (w *writer) Err() error {
	if w.exchange.store != nil {
		return w.wrap(w.exchange.fenced(w.lane, w.attempt))
	}
	for _, p := range w.exchange.pipesOf(w.lane) {
		if err := p.refuses(w); err != nil {
			return w.wrap(err)
		}
	}
	return nil
}

// Window implements Watched.
func (w *writer) Window() int64 {
	e := w.exchange
	if e.store != nil {
		return 0
	}
	lanes := int64(e.spec.Lanes)
	if e.spec.Paired {
		lanes = 1
	}
	return max(e.options.LaneGuarantee, e.spec.BudgetBytes/lanes)
}

// EncodedReader is a reader whose batches may be left in wire form; the readers of a
// Service are.
type EncodedReader interface {
	shuffle.Reader
	// PollEncoded is Poll, but a batch may be in wire form (wire.Decode).
	PollEncoded() (stream.Element, bool, error)
}

var (
	_ EncodedReader = (*pipeReader)(nil)
	_ EncodedReader = (*jobReader)(nil)
)

// decoded is what Poll makes of what PollEncoded returned.
func decoded(e stream.Element, ok bool, err error) (stream.Element, bool, error) {
	if e.Batch != nil {
		if e.Batch, err = wire.Decode(e.Batch); err != nil {
			return stream.Element{}, false, err
		}
	}
	return e, ok, err
}
