// Package residual is the condition of a join beyond the equality of its keys: an expression
// over the columns of pairs, those of the left row and then those of the right one. Of pairs
// only the columns that it reads need be gathered to evaluate it.
package residual
