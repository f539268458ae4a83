// Package session aggregates by keys and session windows: rows of a key of which each is
// at most a gap of event time away from the next are one session.
//
//	rows      x  x    x              x x
//	sessions  [----------- gap)      [-- gap)      a session ends a gap after its last row
//
// A session is a row of keyed state: the key and the time of the row that began it, which
// names it for good; its first and last time; accumulators. Per key an index in memory,
// made anew at a restore, lists the sessions that have not ended.
//
// A batch is sorted by key and time and cut into runs, sessions of its own. A run joins
// the session that it touches; of several, which it bridges, the first takes the others'
// accumulators in. What a run touches lies within a gap of it, so runs of one batch never
// touch sessions that others of it began.
//
// Sessions lie in buckets of time, by when they end. They are moved only when the
// watermark reaches their bucket and finds that they have gone on; so a row costs nothing
// there, and a watermark the sessions that end.
//
// A row is late where the session that it is in, after joining, has ended already: it is
// left out and counted. Whether it is may depend on the rows before it, so rows that
// would be late on their own are taken one by one, in the order in which they came.
package session
