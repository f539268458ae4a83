package local

import "github.com/tidemill/tidemill/core/stream"

// entry is an element with the lane it came from and the credit it holds.
type entry struct {
	element stream.Element
	lane    uint32
	bytes   int64
	number  uint64 // among those that are kept for replay; 0: it is not
}

// queue is a first-in-first-out ring of entries.
type queue struct {
	ring []entry // a power of two long
	head int
	n    int
}

func (q *queue) push(e entry) {
	if q.n == len(q.ring) {
		grown := make([]entry, max(8, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = *q.at(i)
		}
		q.ring, q.head = grown, 0
	}
	q.n++
	*q.at(q.n - 1) = e
}

func (q *queue) pop() entry {
	at := q.at(0)
	e := *at
	*at = entry{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return e
}

// popBack is pop at the other end.
func (q *queue) popBack() entry {
	at := q.at(-1)
	e := *at
	*at = entry{}
	q.n--
	return e
}

// at is the i-th entry from the front; negative i counts from behind the back.
func (q *queue) at(i int) *entry {
	if i < 0 {
		i += q.n
	}
	return &q.ring[(q.head+i)&(len(q.ring)-1)]
}

// pushControl appends a watermark or a change of idleness, which take no credit.
// One that follows another of its sort, with no row or barrier between, replaces
// it, so that what is held is bounded however often they come.
func (q *queue) pushControl(e entry) {
	status := isStatus(e.element.Kind)
	for i := 1; i <= min(q.n, 2); i++ {
		last := q.at(-i)
		isControl := last.element.Kind == stream.WatermarkElem || isStatus(last.element.Kind)
		if !isControl || last.lane != e.lane {
			break
		}
		if isStatus(last.element.Kind) == status {
			last.element = e.element
			return
		}
	}
	q.push(e)
}

func isStatus(k stream.ElementKind) bool { return k == stream.IdleElement || k == stream.ActiveElement }

// remove takes out the entries that drop says, keeping the order of the others,
// and releases them.
func (q *queue) remove(drop func(entry) bool) (bytes int64) {
	for range q.n {
		e := q.pop()
		if drop(e) {
			e.element.Release()
			bytes += e.bytes
			continue
		}
		q.push(e)
	}
	return bytes
}
