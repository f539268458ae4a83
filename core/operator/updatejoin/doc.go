// Package updatejoin joins two inputs that need not end, and tells how the result
// changes.
//
// Each side keeps its rows in keyed state, in lists by join key. What comes on one side
// meets what the other one keeps:
//
//	left batch --Find--> right keys --chains--> (left row, right row) pairs --> output
//	     |                                               residual, counts
//	     +--Resolve, Add / Match, RemoveRows--> left lists
//
// Pairs are made in pieces of at most a batch, so that a key with many rows costs no
// more memory than another. Of the columns those that the residual reads are gathered
// first, the others for pairs that pass. Equal keys of both sides are gathered once.
//
// # What is told
//
// A pair is told with the sign of the row that came: +I when it is added, -D when it is
// taken back. A row that an outer, semi or anti join tells by itself carries a count of
// its partners, a hidden column of the lists. When the count leaves zero, or gets back
// there, the row is told or taken back: padded with nulls before its first pair and
// after its last one, or alone by semi and anti joins. Deletes come before inserts, in
// the same batch where both fit one.
//
// In a batch with both signs, rows are taken back first and then the others added; a row
// that the batch itself adds and takes back is not told at all. So an update tells that
// its old pairs end before its new ones. Rows with a null key never match: outer and
// anti joins pass them on as they come, and nothing keeps them.
//
// # What is forgotten
//
// A row of a side that closes finds no partner once the watermark has reached its time
// and what the spec adds; then it goes, and its key with the last row. Each side has an
// index from time to rows, in at most 256 buckets; where the times would fill more,
// buckets get twice as long. It is made anew from the rows at a restore. Lists by time
// (namespaces) would make every look-up ask each of them; the index costs 16 bytes a row.
// Rows that are kept for a time of the clock only (keep_millis) have another index, by
// the time of arrival, a second hidden column.
//
// Rows that come closed are late: they meet what the other side still keeps and are not
// kept themselves; on a side that takes rows back they are dropped, because what they
// tell could not be taken back. A row without a time never matches, as one without a
// key. A row that is taken back and is not there has been forgotten: it is dropped, and
// counted as late.
//
// With at_closing, rows without a partner are told once, when they are forgotten, and
// never taken back.
//
// When an input has ended, rows of the other one need no longer be kept, unless they
// are taken back or told at closing.
package updatejoin
