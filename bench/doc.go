// Package bench measures the engine on whole statements, through all its layers,
// beside a peer that does the same work on the same files in the same run.
//
// Queries makes its data itself, by a bounded datagen source and INSERT, so that
// figures can be repeated anywhere: facts of six million rows (by default) and
// dimensions of a quarter of that. Each statement is run as a new process, ours
// and the peer's in turn, so both pay for starting; of the counted runs the
// median is reported, with the CPU time of the process and its largest memory.
// Answers are compared before times are.
//
// TPCH compares warm engines instead: ours and each peer is one process that lives
// through the run (Serve, peer.py) and is asked by a line of JSON, so that nobody's
// start counts and no process carries another's memory. They take turns on every
// repetition; one during which the rest of the machine was busy is repeated.
package bench
