// Package sqlerr is the error of the SQL front end: a code, a place, a sentence, and what to write instead.
//
// Lexer, parser, binder and planner make an Error at a node; whoever holds the text attaches it once; the command line and
// the servers render it. Nobody else formats positions.
//
//	parser, binder: New(code, node, "...").Suggest(...)   the place is a range of byte offsets
//	session:        Attach(err, text)                      offsets become line and column
//	command line:   Render()                               at most eight lines, no stack
//
// A rendered error looks like this:
//
//	SQL-1001 at 2:1: unexpected FORM
//	  |
//	1 | SELECT a
//	2 | FORM t
//	  | ^^^^
//	did you mean FROM?
//
// Every Error is of the class failure.InvalidSQL. The codes stand in one table in codes.go; a code once released keeps its
// meaning.
package sqlerr
