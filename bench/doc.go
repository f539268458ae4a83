// Package bench measures the engine on whole statements, through all its layers,
// beside a peer that does the same work on the same files in the same run.
//
// Queries makes its data itself, by a bounded datagen source and INSERT, so that
// figures can be repeated anywhere: facts of six million rows (by default) and
// dimensions of a quarter of that. Each statement is run as a new process, ours
// and the peer's in turn, so both pay for starting; of the counted runs the
// median is reported, with the CPU time of the process and its largest memory.
// Answers are compared before times are.
package bench
