// Package updateagg is the group-by of inputs that need not end: it tells how the
// results of groups change.
//
//	rows, with kinds --> groups: accumulators by slot, in keyed state
//	                       |  which a batch touches: their accumulators from before are kept
//	                       +-> +I  new, -U +U  result is another one, -D  no row is left
//
// Each batch, or what has come within hold_millis, gives at most one change a group.
// Results are finished twice, from the accumulators before and from those after; where
// they are equal nothing is told. That a group exists is a count of its rows, the last
// accumulator; a group without keys exists once it was told.
//
// # Rows that are taken back
//
//	COUNT, SUM, AVG, STDDEV_*, VAR_*   are subtracted; of doubles exactly (core/operator/aggregate)
//	MIN, MAX, BOOL_*, ANY_VALUE        a table of (group, value): how many rows have it
//	DISTINCT of any function           the same
//	the others                         the group's rows in a list, as they came
//
// A group's values are chained, in memory only. If MIN or MAX loses its value they are
// gone through: that costs the group's different values, each time. A list is searched
// for what is taken back, and what depends on it computed anew: its length, each time a
// batch takes a row of it back.
//
// # Phases
//
// A partial phase groups what comes in a table of its own and passes it on as
// accumulators, less than nothing where rows were taken back; a final phase of an input
// that takes rows back must be told so, for accumulators differ. See Splittable and
// AccumulatorTypes.
//
// # Closing
//
// With a closing key the groups are in namespaces, called by the key in milliseconds.
// Nothing is told before the watermark closes one; then its groups are told once and
// dropped. Rows that come later are left out and counted. What has been closed is in
// the operator's own state.
//
// # Forgetting
//
// With keep_millis each group has the time of its last row, processing time as Tick
// tells it. Ticks go round the groups, a stretch each, and forget in silence those that
// are too old. A row that takes something back from a forgotten group changes nothing.
package updateagg
