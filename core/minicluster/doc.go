// Package minicluster is a whole cluster in one process: a replicated store in
// memory, a master, one worker and its shuffle service. `tidemill sql`, `tidemill
// run` and tests use it; the code paths are those of a cluster of many, with calls
// instead of a network between them.
//
// Options.Workers makes several workers, and Options.Servers shuffle servers beside them.
// Each has memory, spill directory and exchanges of its own, and their exchanges go over
// Arrow Flight on connections in memory:
//
//	worker-1 --+                +-- server-1     stored lanes
//	worker-2 --+-- bufconn -----+
//	client   --+                +-- worker-1, worker-2   pipelined partitions
//
// Such a cluster is as a real one to the scheduler: workers may come and go, parallelism
// is decided region by region, and Kill shows what becomes of jobs.
//
// New returns after a few milliseconds; Close leaves no goroutine and no file.
package minicluster
