// Package simulation runs the whole engine in fake time, with faults, by a seed.
//
// Everything between SQL and files happens as in a program: planning, dispatching,
// tasks, exchanges, commits. Only the edges are replaced: messages go through their
// encoding on a transport that loses, repeats and delays them, files lie in memory
// behind a file system that fails, sources fail in the middle, workers and shuffle servers
// die and others join (exchanges then go by Flight over connections in memory), the leading one of three
// masters dies, loses its disk or is cut off from the others, servers are drained, and the clock is that of
// a testing/synctest bubble, so that minutes of waiting take no time and whatever still
// runs at the end is noticed.
//
//	seed -> system (masters, workers, slots, shuffle servers, batch sizes, retention, restarts)
//	     -> statements, each with an answer in closed form
//	     -> faults and deaths: at the nth message, file operation or read of its kind
//
// A streaming plan has one job instead of statements: the ledger (core/datastream/ledger), or a
// statement over rows at a rate, with checkpoints of all kinds, and orders by the clock: a
// savepoint, a stop with one after which another job goes on, a rescaling, a cancellation
// after which another job goes on from the latest checkpoint, and so it does after a failure. Faults
// aim at what checkpoints are triggered, acknowledged, published and restored by.
//
// What must hold:
//
//   - each statement ends, in fake time that is bounded;
//   - its answer is right, or its error has a class and a cause that was injected;
//   - a folder holds the rows of before or those of the statement, each once;
//   - when the faults are over the same statement succeeds;
//   - books of a stream have each row once, whatever jobs they were written by;
//   - at the end no goroutine, no file and no byte of memory is left.
//
// A seed repeats system, statements and faults, but not the order in which goroutines
// run: a failure names its seed, which is run again, a few times if need be, by
//
//	go test ./core/simulation -run TestStreams -seed 17 -times 100
//
// `go test ./core/simulation -first 41 -seeds 1000` tries more than the few dozen of every run.
package simulation
