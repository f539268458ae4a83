package failpoint

// The points, by the step that they stand at. "Begin" is before the step has any
// effect, "End" after its last one and before anybody is told.
const (
	// RaftApply: an entry is committed in the log and about to change the store.
	RaftApply = "raft-apply"
	// JobStored: a submitted job is in the store, its client does not know yet.
	JobStored = "job-stored"
	// JobEnd: how a job ended is about to be stored.
	JobEnd = "job-end"
	// LaneCommit: an attempt's output is whole and about to become the lane's.
	LaneCommit = "lane-commit"
	// LaneCommitted: it has become the lane's, its producer does not know yet.
	LaneCommitted = "lane-committed"
	// ShuffleBlock: a shuffle server has a block, and has not acknowledged it.
	ShuffleBlock = "shuffle-block"
	// ShuffleRead: a consumer is about to be served.
	ShuffleRead = "shuffle-read"
	// SpillWrite: elements leave memory for a file.
	SpillWrite = "spill-write"
	// FileCommit: a file is whole under its temporary name.
	FileCommit = "file-commit"
	// PublishBegin: the files of an insert are whole, none is visible.
	PublishBegin = "publish-begin"
	// PublishStep: some files of an insert are visible, others are not.
	PublishStep = "publish-step"
	// PublishEnd: all files of an insert are visible, nobody knows.
	PublishEnd = "publish-end"
	// CheckpointState: the state of a task's operator is about to be written.
	CheckpointState = "checkpoint-state"
	// CheckpointPublish: the parts of a checkpoint are written, it is not complete.
	CheckpointPublish = "checkpoint-publish"
	// CheckpointComplete: the entry of a checkpoint is written, nothing of it is published.
	CheckpointComplete = "checkpoint-complete"
	// CheckpointCommit: what was made ready is about to be published by its sinks.
	CheckpointCommit = "checkpoint-commit"
	// CheckpointCommitted: it is published, nobody knows.
	CheckpointCommitted = "checkpoint-committed"
	// SinkWrite: a sink is about to take a batch.
	SinkWrite = "sink-write"
	// TaskBetween: a task that reads exchanges and writes others is about to process a batch.
	TaskBetween = "task-between"
	// SinkCommit: committables are about to reach their committer.
	SinkCommit = "sink-commit"
	// Deploy: a worker is about to start an attempt.
	Deploy = "deploy"
)

// Names lists all points.
func Names() []string {
	return []string{
		RaftApply, JobStored, JobEnd, LaneCommit, LaneCommitted, ShuffleBlock, ShuffleRead, SpillWrite,
		FileCommit, PublishBegin, PublishStep, PublishEnd, CheckpointState, CheckpointPublish, CheckpointComplete,
		CheckpointCommit, CheckpointCommitted, SinkWrite, TaskBetween, SinkCommit, Deploy,
	}
}

// Variable is the environment variable that names the directory.
const Variable = "TIDEMILL_FAILPOINTS"

// HitsFile is the file in the directory to which hits are added.
const HitsFile = "hits"

// firedMark stands between a point's name and the id of the process it hit.
const firedMark = ".fired-"
