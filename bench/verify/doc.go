// Package verify kills real processes and looks whether anybody notices.
//
// It starts clusters of the program on the loopback address, runs the queries of TPC-H
// and a job that overwrites a partitioned table, ends or stops roles meanwhile, starts
// them again, and compares every answer and every output folder with what the embedded
// engine says about the same data in peace.
//
//	for each shape (masters, workers, shuffle servers)
//	    start, run every statement once in peace     counts the failpoints it passes
//	    for each round
//	        a statement, a fault                     both from the seed
//	        run; what ended is started again         whoever ends by itself is a defect
//	        compare, or see a retryable error and repeat
//	        no file may be left
//	    end everything by kill -9, start, look for files, stop in order
//
// A fault is a failpoint (core/failpoint) armed for one of the hits that the statement
// was seen to make, a kill -9 at a random moment, a SIGSTOP for longer or shorter than a
// heartbeat's patience, a bit flipped in each file that keeps rows, or a network that
// delays, resets, stalls or swallows (core/faultproxy, before every node). Most kills
// are by failpoint, because a random moment seldom falls into a commit.
//
// The seed fixes statements and faults, not how processes interleave. A wrong answer, a
// mix of two outputs, an unclear error, a role that died by itself or a file left fails
// the run, which goes on to the end, prints the counters, and keeps the logs.
//
// Scenarios are what is not left to chance. A failpoint holds a job at a known moment,
// something happens to the cluster, and attempts, times, files and answers must be as
// told: Scenarios lists them.
//
// RunLedger has a cluster run the ledger job (core/datastream/ledger), kills what runs it in
// checkpoints, commits, savepoints, rescales, recoveries, at the end and at any time, and
// checks the books. A kill counts as one of a moment where that was seen: a failpoint was
// reached, or the job or a command had not come to its end. A job that comes no further tells
// what it waits for, its checkpoints and what all processes have logged last.
//
// cmd/verify is its program; `make verify KILLS=20 SEED=1` builds what it needs.
package verify
