// Package parser turns SQL text into the tree of core/sql/ast.
//
// The dialect is Flink's, in full, with comforts that cannot be mistaken for something else: a path in quotes as a table, FROM
// without SELECT, x::T, names in double quotes, GROUP BY ALL. Far fewer words are reserved than in Flink.
//
//	text -> internal/lex: tokens -> recursive descent; expressions by precedence (expr.go) -> ast
//
// # Errors
//
// The first mistake ends the parse. A function that meets it records the failure and moves to the last token, where every loop
// ends by itself; so functions need no error results, but must live with partly filled nodes (never a nil Expr, Query or
// TableExpr). The trees of a failed statement are thrown away.
//
// While all goes well nothing is kept for messages. After a failure the text is parsed once more with tracing on: every question
// "is the next token X?" that is answered no is noted, and the notes at the failing token are what was expected. They also
// make the suggestions: a word close to an expected keyword is taken for a typing mistake. Because a misspelled clause is often
// read as an alias first (SELECT a FORM t), the word before the failing token is tried as well.
//
// # Limits
//
// Input size, nesting and chains of operators are bounded (limits.go), so that neither this parser nor a recursive walk over its
// trees can exhaust the stack. Nothing here starts goroutines or keeps state between calls.
package parser
