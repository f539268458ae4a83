package local

import (
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// exchange is either pipes (retention none or checkpoint) or a store (retention job).
type exchange struct {
	spec    shuffle.Spec
	options Options
	pipes   []*pipe // by partition; nil where it is placed elsewhere
	store   *partition.Store

	mu      sync.Mutex          // of what follows, and of spec.Placement
	lanes   []jobLane           // of a store
	readers map[*jobReader]bool // of a store, open ones
	latest  map[uint32]uint32   // of a store: newest reader attempt by partition, plus one
	err     error               // set when dropped
}

type jobLane struct {
	attempt uint32
	watch   chan<- struct{}  // of the attempt's writer; nil: nobody watches
	ended   stream.Watermark // where the winner ended
}

func newExchange(spec shuffle.Spec, o Options) *exchange {
	e := &exchange{spec: spec, options: o}
	if spec.Retention == shuffle.RetainJob {
		stored := spec.Partitions
		if spec.Everywhere {
			stored = 1
		}
		e.store = partition.New(o.Tier, o.Alloc, spec.Schema.Arrow(), spec.Lanes, stored)
		e.lanes = make([]jobLane, spec.Lanes)
		e.readers, e.latest = map[*jobReader]bool{}, map[uint32]uint32{}
		return e
	}
	e.pipes = make([]*pipe, spec.Partitions)
	for i := range e.pipes {
		if e.here(i) {
			e.pipes[i] = newPipe(id.Partition{Exchange: spec.Exchange, Index: uint32(i)}, spec, o)
		}
	}
	return e
}

// here reports whether a partition of a pipelined exchange, or a lane of a stored one,
// is placed in this process.
func (e *exchange) here(i int) bool {
	p := e.spec.Placement
	return p.Local() || p.Servers[p.At[i]].ID == e.options.Self
}

// reopen says whether an exchange of that spec begins anew, or why it does not begin.
func (e *exchange) reopen(spec shuffle.Spec) (anew bool, err error) {
	if e == nil {
		return true, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	have, want := e.spec.Placement.Version, spec.Placement.Version
	switch {
	case spec.Term != e.spec.Term:
		anew = spec.Term > e.spec.Term
	case want != have && e.store == nil:
		anew = want > have
	case !sameSpec(e.spec, spec):
		return false, failure.Errorf(failure.Internal, "it is open with another spec")
	default:
		// What another process's stream has told names this process alone: a task that
		// opens the exchange here knows more.
		if !partial(spec.Placement) && (want > have || partial(e.spec.Placement)) {
			e.spec.Placement = spec.Placement
		}
		return false, nil
	}
	if !anew {
		return false, fmt.Errorf("term %d, version %d: %w of term %d, version %d", spec.Term, want, shuffle.ErrFenced, e.spec.Term, have)
	}
	return true, nil
}

// partial tells that a placement lacks servers.
func partial(p shuffle.Placement) bool {
	return slices.ContainsFunc(p.Servers, func(s shuffle.Server) bool { return s.ID == "" })
}

// current is the spec with the placement that was told last.
func (e *exchange) current() shuffle.Spec {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spec
}

// pipesOf are the pipes here that a lane writes.
func (e *exchange) pipesOf(lane uint32) iter.Seq2[int, *pipe] {
	return func(yield func(int, *pipe) bool) {
		for i, p := range e.pipes {
			if p == nil || e.spec.Paired && uint32(i) != lane {
				continue
			}
			if !yield(i, p) {
				return
			}
		}
	}
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
	signal(l.watch)
	l.attempt, l.watch = attempt, nil
	return e.store.Begin(lane, attempt)
}

func (e *exchange) openPartition(part, attempt uint32, lanes []uint32) (shuffle.Reader, error) {
	if e.store == nil {
		p := e.pipes[part]
		if p == nil {
			return nil, failure.Errorf(failure.Internal, "it is placed at another server")
		}
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
	if lanes == nil {
		lanes = e.lanesHere()
	}
	r := &jobReader{
		exchange: e, partition: part, attempt: attempt, lanes: lanes, ready: make(chan struct{}, 1), rows: e.store.Reader(stored, lanes),
	}
	e.readers[r] = true
	return r, nil
}

// lanesHere are the lanes of a store that are placed here.
func (e *exchange) lanesHere() (lanes []uint32) {
	for lane := range e.lanes {
		if e.here(lane) {
			lanes = append(lanes, uint32(lane))
		}
	}
	return lanes
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
	e.everywhere(&m)
	e.lanes[lane].ended = w
	for r := range e.readers {
		signal(r.ready)
	}
	return m, nil
}

// everywhere has the manifest of what is stored once count for every partition, where it is
// for all.
func (e *exchange) everywhere(m *shuffle.Manifest) {
	for e.spec.Everywhere && len(m.Partitions) < e.spec.Partitions {
		m.Partitions = append(m.Partitions, m.Partitions[0])
	}
}

// ended is where event time of these lanes of a store has ended.
func (e *exchange) ended(lanes []uint32) stream.Watermark {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := stream.MaxWatermark
	for _, lane := range lanes {
		w = min(w, e.lanes[lane].ended)
	}
	return w
}

// rewind brings a partition back to a checkpoint.
func (e *exchange) rewind(c id.Checkpoint, part shuffle.Rewound) error {
	if int(part.Partition) >= len(e.pipes) || e.pipes[part.Partition] == nil {
		return failure.Errorf(failure.Conflict, "partition %d is not kept here", part.Partition)
	}
	return e.pipes[part.Partition].rewind(c, part)
}

func (e *exchange) drop() error {
	for _, p := range e.pipes {
		if p == nil {
			continue
		}
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
	for i := range e.lanes {
		signal(e.lanes[i].watch)
	}
	e.mu.Unlock()
	return e.store.Close()
}
