package raftstore_test

// What clients did and saw, and the model of the store against which it is checked: each
// operation must have happened at one moment between its call and its return.

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/anishathalye/porcupine"

	"github.com/tidemill/tidemill/raftmeta"
)

const simulatedKeys = 3

type verb uint8

const (
	verbInvalid verb = iota
	verbGet
	verbList
	verbPut
	verbDelete
)

func (v verb) String() string {
	return [...]string{"invalid", "get", "list", "put", "delete"}[v]
}

// call is what a client asks for.
type call struct {
	verb   verb
	key    int
	value  uint64
	expect raftmeta.Revision
}

// cell is the present value of a key; without a revision it is absent.
type cell struct {
	value    uint64
	revision raftmeta.Revision
}

// contents is the state of the model.
type contents struct {
	revision raftmeta.Revision
	cells    [simulatedKeys]cell
}

// answer is what a client got.
type answer struct {
	unknown  bool // it may have happened
	refused  bool // a conflict with the revision in seen
	seen     cell
	contents contents // of a list
	revision raftmeta.Revision
}

// step says whether an answer is right in a state, and what state follows.
func step(state, input, output any) (bool, any) {
	s, c, a := state.(contents), input.(call), output.(answer)
	now := s.cells[c.key]
	switch c.verb {
	case verbGet:
		return a.seen == now, s
	case verbList:
		return a.contents == s, s
	}
	holds := c.expect == raftmeta.Any || c.expect == now.revision
	if a.refused {
		return !holds && a.seen.revision == now.revision, s
	}
	if holds && (c.verb == verbPut || now.revision != 0) {
		s.revision++
		s.cells[c.key] = cell{}
		if c.verb == verbPut {
			s.cells[c.key] = cell{value: c.value, revision: s.revision}
		}
	}
	return a.unknown || holds && a.revision == s.revision, s
}

func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return contents{} },
		Step: step,
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%+v -> %+v", input, output)
		},
	}
}

// history collects operations. Its clock counts what happens, so two things at the same
// simulated time are still in order.
type history struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (h *history) now() int64 { return h.clock.Add(1) }

// add notes an operation that was called at some time and has returned now.
func (h *history) add(client int, called int64, c call, a answer) {
	op := porcupine.Operation{ClientId: client, Input: c, Output: a, Call: called, Return: h.now()}
	if a.unknown {
		op.Return = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}
