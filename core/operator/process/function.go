package process

import (
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// Function is the code of an operator in one subtask. One goroutine calls it: Open, then
// any of the others, Close at last, always.
type Function interface {
	// Open declares state and prepares what is needed.
	Open(r *Runtime) error
	// Process takes a batch of an input, which stays the operator's. Of input 0 the keys
	// of the rows are known, unless the operator has none.
	Process(input int, b *stream.Batch) error
	// Timers says that n timers are about to fire, whose keys are Runtime.Keys; Timer
	// fires them, in order, as many as come.
	Timers(n int) error
	// Timer fires the timer at place i; its key is in hand.
	Timer(i int, t Timer) error
	// Flush ends what was done with a batch or with timers: what is held back is emitted
	// and written to state.
	Flush() error
	// Row describes the row or timer in hand, for messages.
	Row() string
	Close() error
}

// Functions finds the function of an operator by its name in the job graph and returns
// what makes one for each subtask. It is called concurrently.
type Functions func(name string) (func() Function, error)

// None is the Functions of a process that is no program of somebody's own.
func None(name string) (func() Function, error) {
	return nil, failure.Errorf(failure.NotFound,
		"this process has no function %q: the job was submitted by a program of its own, whose workers must be started from it", name)
}

// Domain says which clock a timer goes by.
type Domain uint8

// The domains.
const (
	InvalidDomain Domain = iota
	EventTime
	ProcessingTime
)

// String is the domain in words.
func (d Domain) String() string {
	switch d {
	case EventTime:
		return "event time"
	case ProcessingTime:
		return "processing time"
	default:
		return "invalid"
	}
}

// Timer is when a timer fires.
type Timer struct {
	Domain Domain
	At     int64 // Unix milliseconds
}
