// Package expr holds typed expressions and evaluates them over batches.
//
// The binder builds an Expr, the optimizer rewrites it, the job graph carries it
// as exprpb, and a worker compiles it once into a Program that is run per batch.
//
// A program is a tree of nodes with one virtual call per node and batch; below
// that are plain loops over the raw slices of Arrow buffers. A node computes the
// rows of a selection and leaves the others undefined, so that rows which do not
// count cannot fail. AND, OR, CASE, IF and COALESCE narrow the selection for
// their later arguments: `x <> 0 AND 10 / x > 1` never divides by zero.
//
// Constants stay one value. Text behind a dictionary is computed once for each
// value of the dictionary where that is less work. Intermediate vectors live in
// an arena that belongs to the program and is used again for the next batch, so
// a program serves one goroutine.
//
// NULL, errors and edge cases follow Flink: integers wrap around, integer
// division by zero is an error, decimals that do not fit become NULL, NaN equals
// nothing. Errors that a row raises are of class UserCode and name the function
// and the value.
package expr

//go:generate go run ./internal/kernelgen
