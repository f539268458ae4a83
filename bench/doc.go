// Package bench measures the engine on whole statements, through all its layers,
// beside a peer that does the same work on the same files in the same run.
//
// # Side by side
//
// A contest is trials on engines: ours, at one or more parallelisms, on one or more
// file systems or on a cluster, and peers. Each engine is one warm process that lives through
// the run (Serve, peer.py) and is asked by a line of JSON, so that nobody's start
// counts and no process carries another's memory:
//
//	for each trial          q1, q2, ... or a job
//	    warm up             reads files, counts nothing
//	    for each run        engines in turn: prepare, time, check
//	                        repeated when others took the machine
//	    medians             but the largest memory of all runs
//
// Answers are compared before times are. A peer that fails is marked; ours that
// fails, or any wrong answer, fails the run once all trials are through.
//
//	TPCH     the 22 queries, over official, generated or copied files
//	ETL      jobs that write files; what was written is read again and compared
//	Nexmark  streaming queries over generated events, or the same events as files
//	Kernels  statements that scan, group, join, sort or write, and little else
package bench
