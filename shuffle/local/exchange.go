package local

import (
	"sync"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// exchange is either pipes (retention none) or a store (retention job).
type exchange struct {
	spec    shuffle.Spec
	options Options
	pipes   []*pipe
	store   *partition.Store

	mu      sync.Mutex
	lanes   []jobLane           // of a store
	readers map[*jobReader]bool // of a store, open ones
	latest  map[uint32]uint32   // of a store: newest reader attempt by partition, plus one
	err     error               // set when dropped
}

type jobLane struct {
	attempt uint32
	ended   stream.Watermark // where the winner ended
}

func newExchange(spec shuffle.Spec, o Options) *exchange {
	e := &exchange{spec: spec, options: o}
	if spec.Retention == shuffle.RetainJob {
		stored := spec.Partitions
		if spec.Everywhere {
			stored = 1
		}
		e.store = partition.New(o.Tier, o.Alloc, spec.Lanes, stored)
		e.lanes = make([]jobLane, spec.Lanes)
		e.readers, e.latest = map[*jobReader]bool{}, map[uint32]uint32{}
		return e
	}
	for i := range spec.Partitions {
		e.pipes = append(e.pipes, newPipe(id.Partition{Exchange: spec.Exchange, Index: uint32(i)}, spec, o))
	}
	return e
}

// pipesOf are the pipes that a lane writes.
func (e *exchange) pipesOf(lane uint32) []*pipe {
	if e.spec.Paired && e.store == nil {
		return e.pipes[lane : lane+1]
	}
	return e.pipes
}

func (e *exchange) openLane(lane, attempt uint32) error {
	for _, p := range e.pipesOf(lane) {
		if err := p.open(lane, attempt); err != nil {
			return err
		}
	}
	if e.store == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	l := &e.lanes[lane]
	if attempt < l.attempt {
		return shuffle.ErrFenced
	}
	l.attempt = attempt
	return e.store.Begin(lane, attempt)
}

func (e *exchange) openPartition(part, attempt uint32) (shuffle.Reader, error) {
	if e.store == nil {
		p := e.pipes[part]
		if err := p.attach(attempt); err != nil {
			return nil, err
		}
		return &pipeReader{pipe: p, attempt: attempt}, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.err != nil:
		return nil, e.err
	case attempt+1 < e.latest[part]:
		return nil, shuffle.ErrFenced
	}
	e.latest[part] = attempt + 1
	for r := range e.readers {
		signal(r.ready) // an earlier attempt, to learn of it
	}
	stored := part
	if e.spec.Everywhere {
		stored = 0
	}
	r := &jobReader{exchange: e, partition: part, attempt: attempt, ready: make(chan struct{}, 1), rows: e.store.Reader(stored)}
	e.readers[r] = true
	return r, nil
}

// fenced tells whether a newer attempt writes the lane of a store.
func (e *exchange) fenced(lane, attempt uint32) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.err != nil:
		return e.err
	case attempt < e.lanes[lane].attempt:
		return shuffle.ErrFenced
	}
	return nil
}

// seal ends a lane of a store, and wakes the readers if it is won.
func (e *exchange) seal(lane, attempt uint32, w stream.Watermark) (shuffle.Manifest, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return shuffle.Manifest{}, e.err
	}
	m, err := e.store.Seal(lane, attempt)
	if err != nil {
		return shuffle.Manifest{}, err
	}
	for e.spec.Everywhere && len(m.Partitions) < e.spec.Partitions {
		m.Partitions = append(m.Partitions, m.Partitions[0])
	}
	e.lanes[lane].ended = w
	for r := range e.readers {
		signal(r.ready)
	}
	return m, nil
}

// ended is where event time of all lanes of a store has ended.
func (e *exchange) ended() stream.Watermark {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := stream.MaxWatermark
	for _, l := range e.lanes {
		w = min(w, l.ended)
	}
	return w
}

func (e *exchange) drop() error {
	for _, p := range e.pipes {
		p.drop(shuffle.ErrReleased)
	}
	if e.store == nil {
		return nil
	}
	e.mu.Lock()
	e.err = shuffle.ErrReleased
	for r := range e.readers {
		signal(r.ready)
	}
	e.mu.Unlock()
	return e.store.Close()
}
