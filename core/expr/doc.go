// Package expr holds typed expressions and evaluates them over batches.
//
// The binder builds an Expr, the optimizer rewrites it, the job graph carries it
// as exprpb, and a worker compiles it once into a Program that is run per batch.
package expr
