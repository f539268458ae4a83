package sqlerr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/ast"
)

func TestRender(t *testing.T) {
	long := "SELECT " + strings.Repeat("x, ", 80) + "FORM t"
	for _, c := range []struct {
		name, src, at, suggestion, want string
	}{
		{
			"one line", "SELECT a FORM t", "FORM", "did you mean FROM?",
			"SQL-1001 at 1:10: wrong\n  |\n1 | SELECT a FORM t\n  |          ^^^^\ndid you mean FROM?",
		},
		{
			"line before", "SELECT a\nFORM t", "FORM", "",
			"SQL-1001 at 2:1: wrong\n  |\n1 | SELECT a\n2 | FORM t\n  | ^^^^",
		},
		{
			"tab and umlaut", "SELECT\t'ä' FORM", "FORM", "",
			"SQL-1001 at 1:12: wrong\n  |\n1 | SELECT 'ä' FORM\n  |            ^^^^",
		},
		{
			"over two lines", "SELECT 'a\nb'", "'a\nb'", "",
			"SQL-1001 at 1:8: wrong\n  |\n1 | SELECT 'a\n  |        ^^",
		},
		{
			"end of text", "SELECT", "", "",
			"SQL-1001 at 1:7: wrong\n  |\n1 | SELECT\n  |       ^",
		},
		{
			"long line", long, "FORM", "",
			"SQL-1001 at 1:248: wrong\n  |\n1 | " + long[187:] + "\n  | " + strings.Repeat(" ", 60) + "^^^^",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := len(c.src)
			if c.at != "" {
				at = strings.Index(c.src, c.at)
			}
			err := New(Syntax, ast.Span{Start: ast.Pos(at), Stop: ast.Pos(at + len(c.at))}, "wrong").In(c.src)
			err.Suggestion = c.suggestion
			if got := err.Render(); got != c.want {
				t.Errorf("have\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestRenderIsShort(t *testing.T) {
	err := New(Syntax, ast.Span{Start: 2, Stop: 4}, "%s", strings.Repeat("a\n", 9999)).Suggest("%s", strings.Repeat("b\n", 9999))
	if lines := strings.Count(err.In("x\ny\nz").Render(), "\n") + 1; lines > 8 {
		t.Errorf("%d lines", lines)
	}
}

func TestAttach(t *testing.T) {
	plain := errors.New("plain")
	if Attach(plain, "x") != plain {
		t.Error("a plain error is changed")
	}
	inner := New(UnknownTable, ast.Span{Start: 3, Stop: 4}, "no table b")
	err := Attach(fmt.Errorf("bind: %w", inner), "a\n b")
	if inner.Line != 2 || inner.Column != 2 {
		t.Errorf("at %d:%d", inner.Line, inner.Column)
	}
	if got := inner.Error(); got != "SQL-2001 at 2:2: no table b" {
		t.Error(got)
	}
	if got := failure.Of(err); got != failure.InvalidSQL {
		t.Errorf("class %v", got)
	}
	Attach(err, "another text")
	if inner.Source != "a\n b" {
		t.Error("the text is attached twice")
	}
}

func TestSuggest(t *testing.T) {
	words := []string{"SELECT", "FROM", "WHERE", "GROUP", "ORDER", "amount", "customer_id", "id"}
	for name, want := range map[string]string{
		"SELCT": "SELECT", "form": "FROM", "wehre": "WHERE", "gruop": "GROUP", "amuont": "amount", "customerid": "customer_id",
		"if": "id", "zebra": "", "": "", "xx": "", strings.Repeat("x", 99): "",
	} {
		if got := Suggest(name, words); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := New(UnknownColumn, ast.Span{}, "no column").DidYouMean("amoutn", words).Suggestion; got != "did you mean amount?" {
		t.Error(got)
	}
}

func TestCodesAreInOrder(t *testing.T) {
	table := Meanings()
	if !slices.IsSortedFunc(table, func(a, b Meaning) int { return strings.Compare(string(a.Code), string(b.Code)) }) {
		t.Error("the table of codes is not in order")
	}
	seen := map[Code]bool{}
	for _, m := range table {
		if seen[m.Code] || !strings.HasSuffix(m.Text, ".") {
			t.Errorf("code %s is there twice or has no sentence", m.Code)
		}
		seen[m.Code] = true
	}
}
