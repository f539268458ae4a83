// Package updatetop keeps the first rows of each group of an input that need not end
// and tells how they change: the operator of a jobgraph.UpdatingTopN. Deduplication is
// the first one by time.
//
// The rows of a group are a list in keyed state, in the order in which they came; of an
// input that only inserts those alone that can still be among the first offset + limit,
// of one that takes rows back all of them. A batch is worked off at once:
//
//	batch --Resolve--> groups --Add, Match--> lists
//	                     |
//	                     +--> rows of the groups that it touches, sorted by group, order
//	                          and arrival; counted twice in one pass: as they were
//	                          before the batch, as they are now
//
// and what differs between the two counts is told, one change for each row: rows before
// the change first, then those after, whole groups in one batch where they fit. Of
// inputs that only insert, most rows of a long stream come after the last row that its
// group keeps; they are found by comparing one column, and go no further. Where one row
// is kept of each group (deduplication) there is nothing to sort: the best row of each
// group in the batch is compared with the kept one, and written over it.
//
// Which rows a change says are gone depends on whether its reader is told what a row
// was before (update_before). If not, it knows rows by a key: of a top-1 its groups, of
// others that of the input, or with ROW_NUMBER shown groups and number. An update-after
// replaces the row of that key, and whatever key has no row any more gets a delete.
//
// With a closing column groups lie in namespaces called by its value in milliseconds.
// Nothing is told until the watermark closes one; then its first rows are, as inserts,
// and the namespace is dropped. Rows of closed groups are late: left out and counted.
package updatetop
