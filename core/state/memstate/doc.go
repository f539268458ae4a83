// Package memstate keeps keyed state in memory.
//
// A namespace is a hash table of its own (core/hashtable), so dropping one is
// dropping a table. Everything is charged to the operator's account.
//
// Snapshot copies every namespace into Arrow arrays; writing sorts a table's rows
// by key group and cuts them into batches. Restore takes the rows of the groups
// that the backend owns, whoever wrote them.
package memstate
