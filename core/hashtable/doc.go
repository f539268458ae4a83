// Package hashtable maps keys of one or more columns to slots, dense numbers from
// 0 in the order in which keys first appear. Group-by, join and keyed state index
// their columns by slot.
//
//	hashes --low bits--> directory             keys, by slot        values, by slot
//	                     [ hash | slot+1 ]     [ words or bytes ]   [ state.Column ]...
//	                     [      0        ]
//
// The directory is an array of 64-bit entries, open addressing with linear
// probing, at most half full: the low 32 bits of the key's hash beside its slot,
// so that it grows without reading keys. Nothing in a table holds a pointer per
// key: the garbage collector has nothing to follow.
//
// A batch is looked up in two passes. The first loads the entry that each hash
// points at and compares keys without branching, collecting the rows that missed;
// most rows end here, and their cache misses overlap. The second probes on for
// those few and adds the new keys.
//
// Keys take one of these forms, chosen once:
//
//	one word     a single column up to 8 bytes, or several that pack into 64 bits
//	few words    the same up to 32 bytes
//	words        more of them
//	characters   a single character or binary column: up to 16 bytes in two words,
//	             longer ones by hash and length, their bytes in an arena
//
// In a key of several columns each character column is first mapped to a 32-bit
// number by a table of its own, so composite keys are always words. Dictionaries
// are looked up once for each value that occurs and remembered by identity, as
// long as batches bring the same one; where a key is made of small dictionaries
// only, once for each combination of values.
//
// A table that is Removable keeps the hash of each key, too: Remove closes the gap in
// the directory and gives the slot to the next new key, so that slots stay where their
// keys do. It grows piece by piece, for those whose rows wait: its slices, equally long, not
// all during one batch, and the next directory is filled while this one is still used. Compact gives up what removed texts have left, once it is half of all.
//
// Lists gives each slot a list of rows, whose numbers are handled alike.
//
// A null is a key like any other: GROUP BY puts nulls together. Joins leave rows
// with null keys out before they ask. Floats are equal as GROUP BY sees them:
// -0.0 is 0.0 and every NaN is one key.
//
// Memory is charged to a stream.Account before it is allocated. A table belongs
// to one goroutine; one that is complete may be read by others through views, each
// with scratch of its own.
package hashtable
