// Package aggregate groups rows and computes aggregate functions.
//
// Each call keeps its accumulator in value columns beside the group's key, one
// slot a group; the columns of a function are the same in memory, in state, and
// on the edge from a partial phase to a final one:
//
//	COUNT, $SEEN                 count BIGINT NOT NULL
//	SUM, SUM0                    sum (the result's type)
//	AVG                          sum (BIGINT, DOUBLE or DECIMAL(38, s)), count BIGINT NOT NULL
//	MIN, MAX, FIRST_VALUE,       the value
//	  LAST_VALUE, ANY_VALUE
//	SINGLE_VALUE                 the value, rows BIGINT NOT NULL
//	BOOL_AND, BOOL_OR            BOOLEAN
//	STDDEV_*, VAR_*              count BIGINT NOT NULL, mean DOUBLE NOT NULL, squares DOUBLE NOT NULL
//	LISTAGG                      the text
//	ARRAY_AGG, COLLECT           elements, encoded: BYTES
//	$DISTINCT_ESTIMATE           registers of a HyperLogLog: BYTES
//
// A partial phase that does not reduce its input stops grouping and passes rows
// on as accumulators of one row each. DISTINCT keeps a second table of (group,
// value) and lets only first occurrences through; it cannot be split in phases.
//
// Groups that do not fit memory are spilled as accumulators, by hash, and merged
// when input has ended; see spill.go. A partial phase emits them instead.
//
// Accumulators is the part that windows share. Those of NewRetracting can take rows back;
// the columns of these functions are others:
//
//	SUM, SUM0                    sum, values BIGINT NOT NULL: the sum of none is null
//	SUM, SUM0, AVG of doubles    exact sum: BYTES, values BIGINT NOT NULL
//	STDDEV_*, VAR_*              exact sums of values and squares: BYTES, values BIGINT NOT NULL
package aggregate
