package sqlerr

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// Error is a mistake in a statement with its place. It is made by New and completed by Attach; after that nobody changes it.
type Error struct {
	Code Code
	// Message is a sentence without capital and full stop that names what is wrong.
	Message string
	// Suggestion says what to write instead: "did you mean FROM?". It is empty when there is no good guess.
	Suggestion string
	// Offset and Length are the place in bytes. The length may be 0, at the end of the text.
	Offset, Length int
	// Line and Column are the place for people, counted from 1, columns in characters. Both are 0 until the text is attached.
	Line, Column int
	// Source is the text that was parsed, empty until it is attached.
	Source string
}

// New returns an error at the place of a node. A bare ast.Span is a node, too.
func New(code Code, at ast.Node, format string, args ...any) *Error {
	return &Error{
		Code:    code,
		Message: fmt.Sprintf(format, args...),
		Offset:  int(at.Pos()),
		Length:  int(at.End() - at.Pos()),
	}
}

// Suggest adds a sentence that says what to write instead, and returns the error itself.
func (e *Error) Suggest(format string, args ...any) *Error {
	e.Suggestion = fmt.Sprintf(format, args...)
	return e
}

// DidYouMean adds a suggestion when one of the candidates is close to name, and returns the error itself.
func (e *Error) DidYouMean(name string, candidates []string) *Error {
	if best := Suggest(name, candidates); best != "" {
		return e.Suggest("did you mean %s?", best)
	}
	return e
}

// In attaches the text that was parsed and computes line and column. It returns the error itself.
func (e *Error) In(src string) *Error {
	e.Source = src
	e.Line, e.Column = Locate(src, e.Offset)
	return e
}

// Attach completes the Error in err's chain, if there is one without a text. It returns err. A wrapper made by
// fmt.Errorf keeps the text of its moment, so attach first and wrap after, or render the Error that errors.As finds.
func Attach(err error, src string) error {
	var e *Error
	if errors.As(err, &e) && e.Line == 0 {
		_ = e.In(src)
	}
	return err
}

// Error returns code, place, message and suggestion in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.headline())
	if e.Suggestion != "" {
		b.WriteString("; ")
		b.WriteString(e.Suggestion)
	}
	return b.String()
}

func (e *Error) headline() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s at %d:%d: %s", e.Code, e.Line, e.Column, e.Message)
}

// Unwrap gives every Error the class failure.InvalidSQL.
func (e *Error) Unwrap() error {
	return failure.Errorf(failure.InvalidSQL, "%s", e.Message)
}

// Locate returns line and column of a byte offset, both counted from 1, the column in characters. An offset beyond the text
// is taken for its end.
func Locate(src string, offset int) (line, column int) {
	offset = min(max(offset, 0), len(src))
	before := src[:offset]
	line = 1 + strings.Count(before, "\n")
	column = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return line, column
}
