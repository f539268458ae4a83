// Package binder gives syntax its meaning: names become columns, calls become
// functions with types, queries become plans.
//
//	ast.Query  --Query-->  plan.Node
//	ast.Insert --Insert--> *plan.Sink
//
// What an expression sees is a scope: the columns that its FROM clause yields,
// in the order of the plan node below, and the aliases that its clause may use.
// A grouped query is bound over a virtual row: the columns of FROM, then one
// column for each aggregate call. After all clauses are bound, every expression
// is rewritten over the Aggregate's output; what is left of FROM there is an
// error "neither grouped nor inside an aggregate".
//
// The binder inserts the casts that core/function asks for, so that no later
// stage converts types. It plans literally: cross joins with conditions above
// them, every column read; the optimizer does the rest. Queries that use columns
// of a query around them are bound with outer references, columns of which the
// index is below zero, and leave the binder without any: see outer.go.
//
// A construct that parses but has no plan yet is refused by its name with
// sqlerr.Unsupported at its place. Nothing that was written is ignored.
//
// Positions inside a view's query belong to another text, so while a view is
// expanded every place is that of the reference to the view.
package binder
