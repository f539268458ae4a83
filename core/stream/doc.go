// Package stream is the vocabulary of what travels along an edge: batches of
// rows, watermarks, barriers, idleness and the end of input.
//
// A Batch is an Arrow record batch with two optional overlays: a selection, the
// ascending physical rows that count, and row kinds, one per physical row. A
// batch without overlays means: every row, all inserted. Filters add a selection
// and copy nothing; whoever needs dense columns compacts.
//
//	Record    r0 r1 r2 r3 r4 r5      physical rows, shared and immutable
//	Sel          1     3  4          nil = all
//	Kinds     +I +I -U +U +I -D      nil = all +I; indexed by physical row
//
// Ownership: who is handed a *Batch owns it, and either calls Release or hands
// it on. Share makes a second owner. Columns are immutable from the moment a
// batch is handed on; Sel and Kinds belong to the owner, who may replace them
// but must not write into a slice it did not make.
//
// Character and binary columns may be dictionary-encoded, differently in every
// batch: the record's own Arrow schema tells. Numbers never are.
//
// Memory: the bytes that a batch pins are charged to an Account. Transfer moves
// the charge when a batch crosses from one owner's budget to another's; the
// last Release gives it back.
package stream
