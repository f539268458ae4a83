package execgraph

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/id"
)

// Event is something that happened to the job. The set is closed.
type Event interface{ event() }

// The events.
type (
	// Start begins the job. It comes once, first unless the job is cancelled
	// before. With Restore the job continues from a checkpoint or savepoint. Parallelism
	// is that of vertices which get another one than the topology says.
	Start struct {
		Restore     bool
		Parallelism map[id.Vertex]int
	}
	// SlotsGranted answers RequestSlots with at least one slot: with fewer than the
	// region can use, its subtasks share them. If the region no longer wants them they
	// are released again.
	SlotsGranted struct {
		Region int
		Slots  []id.Slot
		// Parallelism is that of the region's vertices, wanted where the topology leaves
		// it open and the region has not been granted slots before.
		Parallelism map[id.Vertex]int
	}
	// SlotsUnavailable answers RequestSlots when waiting is no longer worth it.
	SlotsUnavailable struct {
		Region int
		Cause  error
	}
	// Deployed says that the worker has taken the attempt.
	Deployed struct{ Attempt id.Attempt }
	// Running says that the attempt has restored its state and runs.
	Running struct{ Attempt id.Attempt }
	// TaskFinished says that the attempt has come to the end of its input.
	TaskFinished struct{ Attempt id.Attempt }
	// TaskFailed says that the attempt has failed or could not be deployed;
	// the class of Cause decides what follows. Lost is what it could not read.
	// Unreached says that nobody answered where it was to be deployed.
	TaskFailed struct {
		Attempt   id.Attempt
		Cause     error
		Lost      []Lost
		Unreached bool
	}
	// TaskCanceled answers CancelAttempt.
	TaskCanceled struct{ Attempt id.Attempt }
	// WorkerLost says that a worker and all attempts on it are gone. Unreached says that
	// this is known by a call alone that nobody answered there.
	WorkerLost struct {
		Worker    id.Worker
		Cause     error
		Unreached bool
	}
	// PartitionsLost says that data of blocking exchanges is gone.
	PartitionsLost struct {
		Lost  []Lost
		Cause error
	}
	// EnumeratorsLost says that nobody knows any more which splits were handed out:
	// sources that have not finished begin again, those that have can only run again as
	// a whole.
	EnumeratorsLost struct{ Cause error }
	// RestartDelayElapsed answers ScheduleRestart. Parallelism is that of vertices of a
	// streaming job which get another one.
	RestartDelayElapsed struct {
		Restart     int
		Parallelism map[id.Vertex]int
	}
	// Rewound answers Rewind. With a cause, what was to be read again is not kept: the
	// region restarts as a whole.
	Rewound struct {
		Restart int
		Cause   error
	}
	// Rescale restarts a job that runs from its latest checkpoint, without delay and
	// whatever its restart strategy is: RestartDelayElapsed brings the parallelism. A job
	// that is not Rescalable, or is restarting anyway, takes no notice.
	Rescale struct{ Cause error }
	// Fail ends the job by a failure outside of its tasks, such as too many
	// failed checkpoints. The class of Cause does not matter.
	Fail struct{ Cause error }
	// Cancel ends the job by the user's wish.
	Cancel struct{}
	// Suspend ends this job master's part: it lost its leadership.
	Suspend struct{}
)

// Lost is data of a blocking exchange.
type Lost struct {
	Exchange id.Exchange
	Lanes    []uint32 // nil: all of them
}

func (Start) event()               {}
func (SlotsGranted) event()        {}
func (SlotsUnavailable) event()    {}
func (Deployed) event()            {}
func (Running) event()             {}
func (TaskFinished) event()        {}
func (TaskFailed) event()          {}
func (TaskCanceled) event()        {}
func (WorkerLost) event()          {}
func (PartitionsLost) event()      {}
func (EnumeratorsLost) event()     {}
func (RestartDelayElapsed) event() {}
func (Rewound) event()             {}
func (Rescale) event()             {}
func (Fail) event()                {}
func (Cancel) event()              {}
func (Suspend) event()             {}

// Action is something that the job master does for the graph. The set is closed.
type Action interface {
	action()
	String() string
}

// The actions.
type (
	// RequestSlots asks for slots for a region; it is answered by
	// SlotsGranted or SlotsUnavailable. Count is how many it can use; zero: that is to
	// be decided, with the parallelism of its vertices.
	RequestSlots struct{ Region, Count int }
	// Deploy sends an attempt to a slot.
	Deploy struct {
		Attempt id.Attempt
		Slot    id.Slot
	}
	// CancelAttempt stops an attempt on its worker; it is answered by
	// TaskCanceled, or by whatever happened first.
	CancelAttempt struct{ Attempt id.Attempt }
	// ReleaseSlots gives back slots of a region; without slots it withdraws
	// the region's request.
	ReleaseSlots struct {
		Region int
		Slots  []id.Slot
	}
	// ScheduleRestart asks for RestartDelayElapsed after a delay.
	ScheduleRestart struct {
		Restart int
		Delay   time.Duration
	}
	// RestoreFromCheckpoint says that attempts of these regions deployed from
	// now on begin from the latest completed checkpoint.
	RestoreFromCheckpoint struct{ Regions []int }
	// ResetExchange drops what is kept of a blocking exchange, so that the
	// next attempts of its producers can fill it.
	ResetExchange struct{ Exchange id.Exchange }
	// Rewind has what attempts, the next ones of their subtasks, read of others brought
	// back to the latest completed checkpoint, from which they begin; it is answered by
	// Rewound.
	Rewind struct {
		Restart  int
		Attempts []id.Attempt
	}
	// JobEnded says that the job has come to a terminal state. Slots granted
	// too late are still given back after it; nothing else follows.
	JobEnded struct {
		State JobState
		Cause error
	}
)

func (RequestSlots) action()          {}
func (Deploy) action()                {}
func (CancelAttempt) action()         {}
func (ReleaseSlots) action()          {}
func (ScheduleRestart) action()       {}
func (RestoreFromCheckpoint) action() {}
func (ResetExchange) action()         {}
func (Rewind) action()                {}
func (JobEnded) action()              {}

func (a RequestSlots) String() string {
	if a.Count == 0 {
		return fmt.Sprintf("request slots for region %d, which has no parallelism yet", a.Region)
	}
	return fmt.Sprintf("request slots for region %d: %d", a.Region, a.Count)
}
func (a Deploy) String() string        { return fmt.Sprintf("deploy %v to %v", a.Attempt, a.Slot) }
func (a CancelAttempt) String() string { return fmt.Sprintf("cancel %v", a.Attempt) }
func (a ReleaseSlots) String() string {
	if len(a.Slots) == 0 {
		return fmt.Sprintf("withdraw the request of region %d", a.Region)
	}
	return fmt.Sprintf("release slots of region %d: %v", a.Region, a.Slots)
}
func (a ResetExchange) String() string { return fmt.Sprintf("reset exchange %d", a.Exchange) }
func (a ScheduleRestart) String() string {
	return fmt.Sprintf("schedule restart %d in %v", a.Restart, a.Delay)
}

func (a RestoreFromCheckpoint) String() string {
	return fmt.Sprintf("restore regions %v from checkpoint", a.Regions)
}

func (a Rewind) String() string { return fmt.Sprintf("rewind what %v read", a.Attempts) }

func (a JobEnded) String() string {
	if a.Cause == nil {
		return fmt.Sprintf("job ends %v", a.State)
	}
	return fmt.Sprintf("job ends %v: %v", a.State, a.Cause)
}
