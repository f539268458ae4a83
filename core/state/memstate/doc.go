// Package memstate keeps keyed state in memory: a hash table, and lists, for each
// namespace of each table, charged to an account.
//
// What is written is noted by slot and row: a mark and a place in a list, so that a
// snapshot copies what has changed without looking at the rest. Removed keys and rows
// are noted only if an earlier snapshot has them.
//
//	space (a namespace)   keys, values: hashtable.Table   changed slots, removed keys
//	                      lists: hashtable.Lists          changed rows, removed rows
//
// A snapshot of changes also takes a share of the key groups whole: about as much
// again as the changes are, and at least so much that the shares go round in 64
// snapshots. With 1 % changed each time a restore reads at most about twice what
// there is, and no snapshot writes more than three times its changes.
package memstate
