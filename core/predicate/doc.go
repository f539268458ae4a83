// Package predicate holds the conditions that can be decided without the
// engine's expressions: trees of column-compare-literal, joined by AND and OR.
//
// The optimizer extracts them from filters; connectors and formats use them to
// skip what cannot match (partitions, files, row groups, pages). Skipping is
// conservative: Prune answers whether a summary of many rows (bounds, null
// count) excludes them all, and unknown means keep. The filter itself stays in
// the plan unless a source says that it applied the predicate exactly.
//
// Literals are in the column's own physical form (see core/datatype): int64 for
// integers, dates (days), times, timestamps in the type's unit, intervals and
// decimals of up to 18 digits; float64; string; []byte for binary; bool;
// decimal128.Num for wider decimals.
package predicate
