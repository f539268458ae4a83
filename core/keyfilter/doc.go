// Package keyfilter hands the keys of a join's build side to the scans of its
// probe side, so that rows without a partner go no further.
//
//	join subtask 0 --Put(filter, part)--\
//	join subtask 1 --Put(filter, part)---+--> Set of the job --Get--> scan: Has, Between, Probe
//
// Keys of one integer column that lie close together are a bitmap, which is exact.
// All others, far apart, text or of several columns, are a bloom filter of their
// hashes, which takes a few rows too many. Parts hand in the hashes themselves, since
// how large the filter must be shows when all are there.
//
// A filter exists once all its parts do, or at once where the build side was
// broadcast. Parts of subtasks elsewhere are passed on between processes (Share, Take)
// where they are small enough; a set that lacks a part never has the filter, and scans
// pass all rows. A scan never waits. A new attempt puts the part of the one
// before again: the keys are the same, since what it reads is.
//
// Set has one lock, held for the merging of parts; Keys are immutable.
package keyfilter
