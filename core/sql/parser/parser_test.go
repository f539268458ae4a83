package parser

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// TestText runs the text files: the commands script, statement, expr and type take SQL and show its canonical text, or the error as
// a user sees it; complete and expected show what a shell is told. Everything that parses is also checked to survive printing, and its positions to be sound.
func TestText(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				return answer(t, d)
			})
		})
	}
}

func answer(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	switch d.Cmd {
	case "complete":
		return fmt.Sprintln(Complete(d.Input))
	case "expected":
		if words := Expected(d.Input); len(words) > 0 {
			return strings.Join(words, " ") + "\n"
		}
		return "nothing\n"
	}
	nodes, err := parseAs(d.Cmd, d.Input)
	if err != nil {
		return rendered(t, err)
	}
	var b strings.Builder
	for _, n := range nodes {
		checkNode(t, d.Cmd, d.Input, n)
		b.WriteString(ast.Format(n) + "\n")
	}
	return b.String()
}

// parseAs parses by the name of a test command.
func parseAs(kind, src string) ([]ast.Node, error) {
	switch kind {
	case "script":
		statements, err := ParseScript(src)
		var nodes []ast.Node
		for _, s := range statements {
			nodes = append(nodes, s)
		}
		return nodes, err
	case "statement":
		s, err := ParseStatement(src)
		return []ast.Node{s}, err
	case "expr":
		e, err := ParseExpr(src)
		return []ast.Node{e}, err
	case "type":
		typ, err := ParseType(src)
		return []ast.Node{typ}, err
	}
	return nil, fmt.Errorf("no command %q", kind)
}

// rendered returns the error as a user sees it, and checks what holds for every error.
func rendered(t *testing.T, err error) string {
	t.Helper()
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		t.Fatalf("not an SQL error: %v", err)
	}
	text := e.Render()
	if e.Line < 1 || e.Column < 1 || e.Message == "" || strings.Count(text, "\n") > 7 {
		t.Errorf("no position, no message or too long: %s", text)
	}
	return text + "\n"
}

// checkNode checks that a node survives printing and that its positions are sound.
func checkNode(t *testing.T, kind, src string, n ast.Node) {
	t.Helper()
	if problem := roundTrip(kind, n); problem != "" {
		t.Error(problem)
	}
	if problem := checkSpans(src, n); problem != "" {
		t.Errorf("%s\nin %s", problem, src)
	}
}

// roundTrip prints a node, parses the text and compares. It returns what is wrong.
func roundTrip(kind string, n ast.Node) string {
	printed := ast.Format(n)
	again, err := parseAs(kind, printed)
	if err != nil || len(again) != 1 {
		return fmt.Sprintf("printed text does not parse: %s\n%v", printed, err)
	}
	if want, have := shape(n), shape(again[0]); want != have {
		return fmt.Sprintf("printed text parses differently: %s\nwant %s\nhave %s", printed, want, have)
	}
	if second := ast.Format(again[0]); second != printed {
		return fmt.Sprintf("printing is not stable:\n%s\n%s", printed, second)
	}
	return ""
}

// checkSpans checks that every node lies inside its parent and that an expression's text is that expression.
func checkSpans(src string, root ast.Node) (problem string) {
	var parents []ast.Node
	ast.Walk(root, func(n ast.Node) bool {
		for len(parents) > 0 && !inside(n, parents[len(parents)-1]) {
			parents = parents[:len(parents)-1]
		}
		if len(parents) == 0 && n != root || n.Pos() > n.End() || int(n.End()) > len(src) {
			problem = fmt.Sprintf("%T at %d to %d is outside of its parents", n, n.Pos(), n.End())
		}
		parents = append(parents, n)
		if e, ok := n.(ast.Expr); ok && problem == "" {
			problem = checkExprText(src, e)
		}
		return true
	})
	return problem
}

func inside(n, parent ast.Node) bool { return n.Pos() >= parent.Pos() && n.End() <= parent.End() }

func checkExprText(src string, e ast.Expr) string {
	switch e.(type) {
	case *ast.Binary, *ast.Unary, *ast.Call, *ast.Case, *ast.Cast, *ast.In, *ast.Between, *ast.Like, *ast.Is, *ast.IntervalLit, *ast.ColumnRef,
		*ast.Index, *ast.Field, *ast.Array, *ast.Map, *ast.Subquery, *ast.Exists, *ast.TimeLit, *ast.StringLit, *ast.NumberLit:
	default:
		return ""
	}
	text := src[e.Pos():e.End()]
	again, err := ParseExpr(text)
	if text == "" || err == nil && shape(again) == shape(e) || implied(e) {
		return ""
	}
	return fmt.Sprintf("the span of %s holds %q", ast.Format(e), text)
}

// implied reports whether a literal was made by the parser and not written.
func implied(e ast.Expr) bool {
	switch n := e.(type) {
	case *ast.StringLit:
		return true // options of SET without quotes, TRIM without a character
	case *ast.NumberLit:
		return n.Text == "1"
	}
	return false
}

// shape writes a tree without its positions.
func shape(n ast.Node) string {
	var b strings.Builder
	writeShape(&b, reflect.ValueOf(n))
	return b.String()
}

func writeShape(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		writeShape(b, v.Elem())
	case reflect.Struct:
		b.WriteString(v.Type().Name() + "{")
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Type == reflect.TypeFor[ast.Span]() || f.Type == reflect.TypeFor[ast.Pos]() || v.Field(i).IsZero() {
				continue
			}
			b.WriteString(f.Name + ":")
			writeShape(b, v.Field(i))
			b.WriteByte(' ')
		}
		b.WriteByte('}')
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			writeShape(b, v.Index(i))
			b.WriteByte(' ')
		}
		b.WriteByte(']')
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	default:
		fmt.Fprint(b, v.Interface())
	}
}

// Text that is not UTF-8 is refused with its place before anything is done with
// it.
func TestInvalidUTF8(t *testing.T) {
	_, err := ParseScript("SELECT 'caf\xe9'")
	var e *sqlerr.Error
	if !errors.As(err, &e) || e.Code != sqlerr.BadCharacter || e.Offset != 11 {
		t.Errorf("got %v", err)
	}
}
