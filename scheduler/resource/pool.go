package resource

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// Request names one region's wish for slots.
type Request struct {
	Job    id.Job
	Region int
}

// String names the request.
func (r Request) String() string { return fmt.Sprintf("region %d of job %v", r.Region, r.Job) }

// Answer is what a request gets: slots, or a refusal.
type Answer struct {
	Request Request
	Slots   []id.Slot
	Refused error
}

// Pool decides who gets which slot. It is a pure state machine.
type Pool struct {
	fixed   bool
	workers []*lender // in the order in which they came
	queue   []wish
	lent    map[id.Slot]id.Job
}

type lender struct {
	id      id.Worker
	free    []uint32 // ascending
	all     int
	isAside bool
	aside   string // why
}

type wish struct {
	Request
	least, most int
}

// NewPool returns a pool without workers. A fixed one refuses what is larger than
// all the slots it has.
func NewPool(fixed bool) *Pool { return &Pool{fixed: fixed, lent: map[id.Slot]id.Job{}} }

// Total is the number of slots, lent or not, without those of workers that are set aside.
func (p *Pool) Total() (n int) {
	for _, w := range p.workers {
		if !w.isAside {
			n += w.all
		}
	}
	return n
}

// Free is the number of slots of Total that nobody has.
func (p *Pool) Free() (n int) {
	for _, w := range p.workers {
		if !w.isAside {
			n += len(w.free)
		}
	}
	return n
}

// FreeOf is the number of a worker's slots that nobody has.
func (p *Pool) FreeOf(w id.Worker) int {
	for _, l := range p.workers {
		if l.id == w {
			return len(l.free)
		}
	}
	return 0
}

// Workers lists the workers in the order in which they came.
func (p *Pool) Workers() []id.Worker {
	out := make([]id.Worker, len(p.workers))
	for i, w := range p.workers {
		out[i] = w.id
	}
	return out
}

// AddWorker brings slots. A worker that is known is replaced: all its slots are
// free again.
func (p *Pool) AddWorker(w id.Worker, slots int) []Answer {
	p.RemoveWorker(w)
	l := &lender{id: w, all: slots}
	for i := range slots {
		l.free = append(l.free, uint32(i))
	}
	p.workers = append(p.workers, l)
	return p.serve()
}

// RemoveWorker takes a worker and its slots away, and reports whether it was
// known.
func (p *Pool) RemoveWorker(w id.Worker) bool {
	n := len(p.workers)
	p.workers = slices.DeleteFunc(p.workers, func(l *lender) bool { return l.id == w })
	maps.DeleteFunc(p.lent, func(s id.Slot, _ id.Job) bool { return s.Worker == w })
	return len(p.workers) < n
}

// Ask queues a request for as many slots as there are when its turn comes, within
// least and most.
func (p *Pool) Ask(r Request, least, most int) []Answer {
	if total := p.Total(); p.fixed && least > total {
		return []Answer{{Request: r, Refused: failure.Errorf(failure.Usage,
			"%v needs %d slots and there are %d: raise worker.slots or lower parallelism.default", r, least, total)}}
	}
	p.queue = append(p.queue, wish{r, least, most})
	return p.serve()
}

// Withdraw forgets a request that was not answered.
func (p *Pool) Withdraw(r Request) []Answer {
	p.queue = slices.DeleteFunc(p.queue, func(w wish) bool { return w.Request == r })
	return p.serve()
}

// Release gives slots back that a job has. Others are passed over: the worker is gone,
// or has come again since, and perhaps somebody else has the slot.
func (p *Pool) Release(job id.Job, slots []id.Slot) []Answer {
	for _, s := range slots {
		if p.lent[s] != job {
			continue
		}
		delete(p.lent, s)
		for _, l := range p.workers {
			if l.id != s.Worker || int(s.Index) >= l.all {
				continue
			}
			if at, found := slices.BinarySearch(l.free, s.Index); !found {
				l.free = slices.Insert(l.free, at, s.Index)
			}
		}
	}
	return p.serve()
}

// serve answers requests in turn until one has to wait.
func (p *Pool) serve() (answers []Answer) {
	total := p.Total()
	var waiting []wish
	for i, w := range p.queue {
		if w.least > total { // only a larger cluster can serve it
			waiting = append(waiting, w)
			continue
		}
		free := p.Free()
		if w.least > free {
			waiting = append(waiting, p.queue[i:]...)
			break
		}
		answers = append(answers, Answer{Request: w.Request, Slots: p.take(w.Job, min(w.most, free))})
	}
	p.queue = waiting
	return answers
}

// take lends slots, from the worker with the most free ones each time, so that
// load spreads; ties go to the older worker.
func (p *Pool) take(job id.Job, count int) []id.Slot {
	slots := make([]id.Slot, 0, count)
	for range count {
		var best *lender
		for _, l := range p.workers {
			if !l.isAside && (best == nil || len(l.free) > len(best.free)) {
				best = l
			}
		}
		s := id.Slot{Worker: best.id, Index: best.free[0]}
		slots, p.lent[s] = append(slots, s), job
		best.free = best.free[1:]
	}
	return slots
}

// Foresee is what requests of a job for so many slots each, one after the other, would get if
// it gave back what it has.
func (p *Pool) Foresee(job id.Job, counts []int) (out [][]id.Slot) {
	then := &Pool{lent: maps.Clone(p.lent)}
	for _, l := range p.workers {
		same := *l
		same.free = slices.Clone(l.free)
		then.workers = append(then.workers, &same)
	}
	var own []id.Slot
	for s, whose := range p.lent {
		if whose == job {
			own = append(own, s)
		}
	}
	then.Release(job, own)
	for _, n := range counts {
		out = append(out, then.take(job, min(n, then.Free())))
	}
	return out
}

// Why says what a request that is not answered waits for, and of whom: the job that has
// most of the slots; a worker that is set aside, or the cluster, where there are too few.
// False: it does not wait.
func (p *Pool) Why(r Request) (reason, owner string, waits bool) {
	at := slices.IndexFunc(p.queue, func(w wish) bool { return w.Request == r })
	if at < 0 {
		return "", "", false
	}
	total, want := p.Total(), p.queue[at].least
	aside, first := p.asides()
	if aside != "" {
		aside = "; " + aside
	}
	switch {
	case want > total && first != "":
		return fmt.Sprintf("%d slots, and the cluster has %d%s", want, total, aside), "worker " + string(first), true
	case want > total:
		return fmt.Sprintf("%d slots, and the cluster has %d", want, total), "cluster", true
	}
	reason = fmt.Sprintf("%d slots: %d of %d are free", want, p.Free(), total)
	ahead := 0
	for _, w := range p.queue[:at] {
		if w.least <= total {
			ahead++
		}
	}
	if ahead > 0 {
		reason += fmt.Sprintf(", and %d requests come before it", ahead)
	}
	return reason + aside, p.holder(), true
}

// holder names the job with most slots.
func (p *Pool) holder() string {
	has := map[id.Job]int{}
	for _, job := range p.lent {
		has[job]++
	}
	var most id.Job
	for job, n := range has {
		if n > has[most] || n == has[most] && slices.Compare(job[:], most[:]) < 0 {
			most = job
		}
	}
	return fmt.Sprintf("job %v, which has %d of them", most, has[most])
}
