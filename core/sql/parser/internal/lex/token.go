package lex

import "github.com/tidemill/tidemill/core/sql/ast"

// Kind is the kind of a Token.
type Kind uint8

// The kinds of tokens.
const (
	Invalid Kind = iota
	EOF
	Illegal
	Word    // a bare word: Token.Word tells which keyword it is, if any
	Quoted  // `name` or "name"
	String  // '...'
	UString // U&'...'
	Binary  // X'...'
	Number
	HintOpen  // /*+
	HintClose // */
	LParen
	RParen
	LBracket
	RBracket
	LBrace
	RBrace
	Comma
	Semicolon
	Dot
	Colon
	DoubleColon
	Eq
	Ne
	Lt
	Le
	Gt
	Ge
	Plus
	Minus
	Star
	Slash
	Percent
	Concat
	Bar
	Arrow // =>
	Question
	Caret
)

var kindNames = [...]string{
	"invalid", "the end", "illegal text", "a word", "a quoted name", "a string", "a string", "a binary string",
	"a number", "/*+", "*/", "(", ")", "[", "]", "{", "}", ",", ";", ".", ":", "::", "=", "<>", "<", "<=", ">", ">=", "+", "-",
	"*", "/", "%", "||", "|", "=>", "?", "^",
}

// String returns the token's text when it has only one, and words for it otherwise.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Invalid]
}

// Fault says why a token is Illegal; it is kept in Token.Word.
type Fault = Keyword

// The faults.
const (
	OpenString Fault = 1 + iota
	OpenQuote
	OpenComment
	OpenHint
	StrayCharacter
	BadNumber
	EmptyQuote
)

// Token is a piece of the text. Word is a keyword when Kind is Word, and a Fault when Kind is Illegal.
type Token struct {
	Kind       Kind
	Word       Keyword
	Start, End int32
}

// Span returns the token's place as a node.
func (t Token) Span() ast.Span { return ast.Span{Start: ast.Pos(t.Start), Stop: ast.Pos(t.End)} }

// Text returns the token's text.
func (t Token) Text(src string) string { return src[t.Start:t.End] }
