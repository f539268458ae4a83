package id

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// Job identifies one submitted job for ever: it is never used again, not even
// when the same statement is submitted twice.
type Job [16]byte

// NewJob returns a random job id.
func NewJob() Job {
	var j Job
	_, _ = rand.Read(j[:]) // crypto/rand.Read never fails: it ends the process instead
	return j
}

// ParseJob reads the form that String prints.
func ParseJob(s string) (Job, error) {
	var j Job
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(j) {
		return Job{}, fmt.Errorf("job id %q: want 32 hex digits", s)
	}
	copy(j[:], b)
	return j, nil
}

// String prints 32 hex digits.
func (j Job) String() string { return hex.EncodeToString(j[:]) }

// IsZero reports whether j was never set.
func (j Job) IsZero() bool { return j == Job{} }

// Vertex numbers a vertex within its job graph.
type Vertex uint32

// Exchange numbers an exchange, that is an edge, within its job graph.
type Exchange uint32

// Subtask is one parallel instance of a vertex.
type Subtask struct {
	Vertex Vertex
	Index  uint32
}

// String prints vertex.index.
func (s Subtask) String() string { return fmt.Sprintf("%d.%d", s.Vertex, s.Index) }

// Attempt is one fenced execution of a subtask; N counts from 0.
type Attempt struct {
	Subtask Subtask
	N       uint32
}

// String prints vertex.index#n.
func (a Attempt) String() string { return fmt.Sprintf("%v#%d", a.Subtask, a.N) }

// Partition is one consumer's share of an exchange.
type Partition struct {
	Exchange Exchange
	Index    uint32
}

// String prints exchange/index.
func (p Partition) String() string { return fmt.Sprintf("%d/%d", p.Exchange, p.Index) }

// Worker names a worker process for as long as it lives; a restarted worker has
// a new id.
type Worker string

// Slot is one of a worker's slots.
type Slot struct {
	Worker Worker
	Index  uint32
}

// String prints worker:index.
func (s Slot) String() string { return fmt.Sprintf("%s:%d", s.Worker, s.Index) }

// Checkpoint numbers the checkpoints of one job, from 1; zero means none.
type Checkpoint uint64

// Term is a fencing number: what carries a lower term than one already seen is
// refused.
type Term uint64
