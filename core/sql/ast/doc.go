// Package ast is the syntax tree of Tidemill's SQL: Flink's dialect with a few comforts.
//
// The parser makes the tree, the binder reads it, nobody changes it. The tree says what was written, not what it means:
// names are unresolved, types are not checked, functions are calls by name.
//
//	text --parser--> Statement --binder--> logical plan
//	                    |
//	                    +-- Format --> canonical text
//
// # Families
//
// Five sealed interfaces divide the nodes: Statement, Query (a Query is also a Statement), TableExpr (what stands in FROM),
// Expr, and TypeName; AlterAction and PatternExpr are the small families inside ALTER and MATCH_RECOGNIZE. A switch over
// one of them can be complete, because no other package can add a member.
//
// # Positions
//
// Every node embeds Span, a half-open range of byte offsets into the text that was parsed. In a script of many statements
// the offsets count from the beginning of the script. Package sqlerr turns an offset into line and column.
//
// # What is normalised
//
// One construct has one shape, however it was spelled, so that the binder sees each only once:
//
//   - parentheses vanish; the printer puts back those that are needed
//   - `x::T` is Cast; `<>` and `!=` are OpNe; `%` and MOD stay apart (one is an operator, the other a call)
//   - EXTRACT(u FROM x), SUBSTRING(x FROM a FOR b), TRIM(BOTH a FROM b), POSITION(a IN b), OVERLAY(...) and CEIL(x TO u)
//     are calls with positional arguments, where a unit is a UnitArg and a trim side a TrimArg
//   - LIMIT n and FETCH FIRST n ROWS ONLY are OrderedQuery.Limit
//   - FROM t without SELECT is SELECT * FROM t; a comma in FROM is a Join of kind JoinComma
//   - INT ARRAY is ARRAY<INT>; ROW(a INT) is ROW<a INT>
//
// # Invariants
//
// Parsing Format(n) gives n again, positions apart. Walk reaches every node below its root exactly once.
package ast
