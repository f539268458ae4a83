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
//	worker-2 --+-- in memory -+
//	client   --+                +-- worker-1, worker-2   pipelined partitions
//
// Such a cluster is as a real one to the scheduler: workers may come and go, parallelism
// is decided region by region, and Kill shows what becomes of jobs.
//
// Options.Masters makes several masters: each has a Raft log, blobs and leaderships of its
// own, over connections in memory that can be cut. Calls go to the one that leads (router).
// KillMaster ends it, with its disk or not; IsolateMaster cuts it off. Nobody is told of
// deaths then: they are noticed by silence.
//
//	worker, client -- router --+-- master-1 --+
//	                           +-- master-2 --+-- pipes
//	                           +-- master-3 --+
//
// Locks: masters.mu is taken before fabric.mu; both are held for looks alone.
//
// New returns after a few milliseconds; Close leaves no goroutine and no file.
package minicluster
