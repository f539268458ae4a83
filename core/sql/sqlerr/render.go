package sqlerr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// excerptWidth is how many characters of a line are shown; longer lines are cut around the place.
	excerptWidth = 100
	// leadWidth is how many characters before the place stay visible when a line is cut.
	leadWidth = 60
	// messageWidth keeps a message that quotes the user's text from filling the screen.
	messageWidth = 400
)

// Render returns the error for a terminal: headline, excerpt with the line before, caret, suggestion. It has at most eight
// lines and ends without a line feed.
func (e *Error) Render() string {
	var b strings.Builder
	b.WriteString(oneLine(e.headline(), messageWidth))
	if e.Line > 0 && strings.TrimSpace(e.Source) != "" {
		e.renderExcerpt(&b)
	}
	if e.Suggestion != "" {
		b.WriteByte('\n')
		b.WriteString(oneLine(e.Suggestion, messageWidth))
	}
	return b.String()
}

func (e *Error) renderExcerpt(b *strings.Builder) {
	offset := min(max(e.Offset, 0), len(e.Source))
	start := strings.LastIndexByte(e.Source[:offset], '\n') + 1
	line := e.Source[start:]
	if end := strings.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	gutter := len(fmt.Sprint(e.Line))
	fmt.Fprintf(b, "\n%*s |", gutter, "")
	if start > 0 {
		before := e.Source[strings.LastIndexByte(e.Source[:start-1], '\n')+1 : start-1]
		if strings.TrimSpace(before) != "" {
			fmt.Fprintf(b, "\n%*d | %s", gutter, e.Line-1, strings.TrimRight(cut(before, 0), " "))
		}
	}
	column := e.Column - 1
	length := utf8.RuneCountInString(e.Source[offset:min(offset+max(e.Length, 0), start+len(line), len(e.Source))])
	first := 0
	if column > excerptWidth*3/4 {
		first = column - leadWidth
	}
	shown := cut(line, first)
	fmt.Fprintf(b, "\n%*d | %s", gutter, e.Line, strings.TrimRight(shown, " "))
	carets := min(max(length, 1), max(excerptWidth-(column-first), 1))
	fmt.Fprintf(b, "\n%*s | %s%s", gutter, "", strings.Repeat(" ", column-first), strings.Repeat("^", carets))
}

// cut returns excerptWidth characters of a line, from the given one on, each printable and one column wide.
func cut(line string, first int) string {
	runes := []rune(strings.TrimRight(line, "\r"))
	if first >= len(runes) {
		return ""
	}
	runes = runes[first:min(len(runes), first+excerptWidth)]
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = ' '
		}
	}
	return string(runes)
}

// oneLine replaces what would break the line and cuts what is too long.
func oneLine(s string, width int) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width]) + "..."
	}
	return s
}
