// Package function is the catalogue of SQL functions: their names, what arguments
// they take and what they return, with Flink's rules.
//
// It decides types only. Scalars are evaluated by core/expr, aggregates by
// core/operator/aggregate, window functions by core/operator/window; all of them
// know a function by the canonical name that the catalogue resolved it to.
// Operators are functions with stable names: `+`, `=`, `AND`, `IS NULL`, `CASE`,
// `CAST`, `[]` (element of an array or map), `.` (field of a row by position).
//
// Most functions are rows of a table in signature text:
//
//	SUBSTRING  string, int, int? -> STRING
//
// where a lower-case word is a class of types that an argument may have, `?` an
// optional argument, `...` a repeated one, and the right side a type or the type
// of an argument ($1). The result may be null if an argument may, unless a `?`
// (always) or `!` (never) follows the result. Functions whose types follow from
// more than that, such as the decimal operators, are Go.
//
// A resolved function names the types to cast each argument to, so that an
// evaluator sees only those. Names are looked up in any letter case.
package function
