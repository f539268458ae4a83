// Package checkpoint holds what a checkpoint is made of: the alignment of
// barriers over inputs, the metadata of a snapshot, and who restores what. All
// of it is pure; core/checkpoint/storage reads and writes the files.
//
// Alignment: a task, and a partition over its lanes, takes its snapshot when the
// barrier has arrived on every input. Until then an input that is ahead is
// blocked. A finished input counts as having every barrier.
//
//	input 0  r r r |B| . . .      blocked: what follows B waits
//	input 1  r r r r r |B|        the last one: Aligned, and all go on
//
// A checkpoint may overtake: then no input is blocked any more, and what comes before the
// barriers that are still to come is in flight, and a part of it.
//
// Metadata: a Manifest names every vertex and operator by its uid, with the handles of
// its keyed state, the bytes of its operators' own state, which subtasks had
// FINISHED, and the coordinator's state. It is encoded with a version and a
// checksum. Its handles name files beside it, so a checkpoint can be moved.
//
//	"TMCP" | version u32 | length u32 | crc32c u32 | protobuf Manifest
//
// Another plan: Match says which of its operators goes on with the state of each former one,
// Fit whether the columns are those that it needs. Nothing is guessed.
//
// Restore: Assign says for each subtask of the new parallelism, which may be
// another, which handles it reads and whose operator state it is given; AssignInFlight
// what had been in flight to whom.
package checkpoint
