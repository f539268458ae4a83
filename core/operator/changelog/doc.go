// Package changelog holds what operators over inputs that need not end share: batches
// of changes, and Materialize, which keeps the rows that changes leave.
//
// A changelog is rows with kinds (core/stream). What it says is a table: an insert or
// update-after adds a row, a delete or update-before takes an equal one away.
//
//	+I a 1        {a 1}
//	-U a 1  \
//	+U a 2  /     {a 2}            an update, in one batch
//	-D a 2        {}
//
// Whoever emits updates puts both halves into one batch, all rows before those after,
// so that a reader which works by batches never sees the table without either. Of one
// row of the table changes come in their order; between rows there is none.
//
// Where only the last row of each key counts (an upsert sink), update-before is left
// out, and a delete need be right in its keys only. The planner says so in the spec
// (update_before); an operator that keeps rows by all columns is never given that.
//
// A table may be told as upserts by a key from the beginning: rows replace what was of their
// key, which nobody takes back, and a delete may be of none. Materialize of upserts makes a
// changelog of them, and stands above whatever reads such a table, unless a sink takes them
// as they are.
package changelog
