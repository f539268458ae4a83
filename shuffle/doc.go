// Package shuffle is the contract of the exchange: every edge between tasks is a
// partitioned log of elements, kept by a shuffle service under a retention.
//
//	producer subtasks            service               consumer subtasks
//	lane 0 ---- Writer --+--> partition 0 --- Reader ----> subtask 0
//	lane 1 ---- Writer --+--> partition 1 --- Reader ----> subtask 1
//
// A lane is one producer subtask; an attempt is a fenced execution of it. The
// service keeps the elements of a lane in order. It merges lanes per partition:
// a reader sees the rows of all lanes, the watermark that is their minimum (idle
// and finished lanes left out), each barrier once, after all lanes have it
// (rows of lanes that are ahead are held back: aligned), and one end of input
// after the last lane's.
//
// Retention is the only difference between pipelined and blocking edges; neither
// operators nor tasks see it. None: an element is gone once read; a partition
// has one reader. Checkpoint: it is kept by reference until a checkpoint is complete whose
// barrier came after it, so that a reader can begin again behind the barrier of the latest
// one while those who write go on (Replayer). Job: everything is kept until the exchange is dropped, in
// memory, then on local disk; readers may come late and again, and see only
// lanes whose attempt has finished.
//
// Broadcast: Spec.Everywhere. A batch is sent once and counts, in manifests and
// credits, for each partition.
//
// Attempts: a writer with a higher attempt number fences the lower ones of its
// lane (their calls fail with ErrFenced). With retention job the first attempt
// to finish wins the lane, later ones are told ErrLostRace and are discarded.
//
// Credits are bytes per partition, with a guaranteed minimum for each lane, so
// that alignment cannot deadlock: a writer blocks while its partition is over
// budget and it has used its guarantee.
//
// Placement: within one process batches pass by pointer (shuffle/local). Across
// processes an exchange has a Placement: which server keeps which partition or lane.
// A server is a process with a store and a wire (shuffle/service): every worker is
// one for the pipelined partitions that it reads; a shuffle daemon is one for stored
// lanes, which outlive workers. shuffle/flight is the Service that finds the right
// one for each partition and lane, by pointer, unix socket or TCP. Neither operators
// nor tasks see the difference.
//
// Terms: a job master speaks under the term of its leadership. An exchange that is
// opened under a higher term begins anew, so a job that a new leader runs again
// never meets rows of its former life.
//
// Ownership: Send consumes the batch, also when it fails; a batch that Next or
// Poll returns belongs to the reader.
package shuffle
