// Package optimizer rewrites logical plans into cheaper ones that yield the same
// rows. It is pure: no I/O, no clock.
//
// One file holds one rule (rules lists them by name; each may be left out). Rules are functions from plan to plan; Optimize runs
// them once each, in an order in which none needs an earlier one again:
//
//	fold           constants and boolean algebra
//	window         grouping by a window's bounds becomes one operator
//	averages       AVG becomes SUM and COUNT where these are shared
//	distinct       distinct aggregates over one column become two group-bys
//	pushDown       conditions move to where their columns come from, and over keys
//	               to the other side of a join (transitive); what an OR over both sides
//	               demands of each (branches); joins that they make inner; unnest
//	groupTop       a filter on a rank lets rows be dropped before the sort
//	scanPredicate  what a connector can use of a filter goes to the scan
//	joinOrder      inner, semi and anti joins in the cheapest order, the smaller side
//	               built; aggregates skip groups that a join cannot ask for (sideways)
//	keys           equalities of joins become keys
//	eager          a side of a join is grouped before it, where few groups are left
//	prune          columns that nobody reads are not read
//	limit          limits move down, below outer joins, too; a sort below a limit becomes
//	               a top-n
//	outerSides     of outer joins, too, the smaller side is built
//	merge          adjacent projections become one
//	updating       in streaming plans, filters on ranks and limits become top-n
package optimizer
