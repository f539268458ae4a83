// Package state is the contract of keyed state: typed, columnar tables that
// operators look up and write in batches.
//
// A table has key columns and value columns, both with SQL types, so state has
// an Arrow schema and can be written, read back, evolved and queried. Rows lie in
// namespaces (for windows: the end of a slice); dropping a namespace forgets all
// its rows at once. Within a namespace each key has a slot, a dense number from 0
// that is stable until the namespace is dropped; value columns are indexed by
// slot. An operator resolves a whole batch of keys to slots in one call and then
// works on raw slices:
//
//	keys (columns, hashes) --Resolve--> slots --index--> value columns
//
// A Backend belongs to one operator of one subtask, holds the key groups that
// the subtask owns, and is used by that task's goroutine alone. Snapshot freezes
// what is there, briefly; the frozen content is written aside while the task goes
// on. What is written are Arrow batches, clustered by key group, so that a
// restore at another parallelism reads only the groups it owns.
//
// Implementations: core/state/memstate (hash tables in memory). Every
// implementation passes core/state/statetest.
package state
