// Package minicluster is a whole cluster in one process: a replicated store in
// memory, a master, one worker and its shuffle service. `tidemill sql`, `tidemill
// run` and tests use it; the code paths are those of a cluster of many, with calls
// instead of a network between them.
//
// New returns after a few milliseconds; Close leaves no goroutine and no file.
package minicluster
