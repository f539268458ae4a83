// Package lex cuts SQL text into tokens for core/sql/parser.
//
// The whole text is cut at once into a slice of small values: 12 bytes a token, no strings, one allocation. The parser can
// look ahead as far as it likes, and goes back by setting an index. What cannot be a token becomes one of kind Illegal, so that
// the parser reports the first mistake in reading order, be it lexical or not.
//
// Comments are skipped, except that /*+ opens a hint: its inside is cut like other text, until */ closes it.
package lex
