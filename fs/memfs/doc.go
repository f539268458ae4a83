// Package memfs is a file system in memory, for tests, simulation and mem://
// tables. It keeps two maps from path to content: what is visible, and what
// would survive a crash of the host. Committing, renaming and persisting write
// both; removing writes the second only at SyncDir, because that is how late a
// removal may become durable. Crash returns a file system that holds the
// second map alone.
//
// One mutex guards both maps. Contents are immutable once they are in a map,
// so readers hold no lock.
package memfs
