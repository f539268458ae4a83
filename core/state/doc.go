// Package state is the contract of keyed state: typed, columnar tables that
// operators look up and write in batches.
//
// A table has key columns and value columns, both with SQL types, so state has
// an Arrow schema and can be written, read back, evolved and queried. Rows lie in
// namespaces (for windows: the end of a slice); dropping a namespace forgets all
// its rows at once. Within a namespace each key has a slot, a number that stays
// the same until the key is removed or the namespace dropped; value columns are
// indexed by slot. An operator resolves a whole batch of keys to slots in one call
// and then works on raw slices:
//
//	keys (columns, hashes) --Resolve--> slots --index--> value columns
//	                                      |
//	                                      +--Chains--> rows of the key's list --index--> list columns
//
// A table may give each key a list of rows, too (TableSpec.List): what a join keeps
// of a side, a top-n of a group, OVER of a partition. A row of a list has a number,
// its columns are indexed by that, and chains of numbers lead from slot to row to row
// in the order in which rows were added.
//
// A Backend belongs to one operator of one subtask, holds the key groups that
// the subtask owns, and is used by that task's goroutine alone.
//
// # State larger than memory
//
// A table may be evictable (TableSpec.Evictable): its operator looks keys up anew in each
// batch and keeps no slots beyond. A backend that is an Evictor then moves keys that have
// not been asked for to disk, but only when its task says so, between elements: within a
// call of an operator slots stay. Resolve and Find bring keys back. An operator that does
// keep something between elements lets go of it when it is told to (operator.Holder).
//
// # Snapshots are changes
//
// What Resolve, Touch, Add, Remove and Drop were called for since the last Snapshot
// is what the next one holds, besides a share of everything else: a stretch of key
// groups, whole, another one each time. So checkpoints cost what has changed, and
// what a restore must read stays a small multiple of what there is:
//
//	groups  0        ...       1023
//	   1    [== whole ===]-----------     changes everywhere, the first groups whole
//	   2    -------------[== whole ===    ... the rest: nothing before is needed
//	   3    [== whole ===]-----------     of 1 nothing, of 2 what is right of the bar
//
// Snapshot freezes what is to be written, briefly; Copy copies it between elements, and
// what is about to change is copied before. Write then hands it out aside while the
// task goes on, as Arrow batches clustered by key group. A restore reads pieces in
// the order of their snapshots and, within one, in that of Write; it takes the groups
// it owns and leaves the others. Who keeps the pieces drops those of which all groups
// are in a later snapshot's Whole. A backend that is an Adopter may leave them where they lie.
//
// Implementations: core/state/memstate (hash tables in memory) and
// core/state/pebblestate (the same with a store behind, on local disk or any file system). Both pass
// core/state/statetest.
package state
