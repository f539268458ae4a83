package parser

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// FuzzParse checks that no text makes the parser panic, that every error has a place, and that what parses survives printing.
// The seeds are the statements of the text files.
func FuzzParse(f *testing.F) {
	for _, s := range corpus(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		Complete(src)
		statements, err := ParseScript(src)
		var e *sqlerr.Error
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Code == "" || strings.Count(e.Render(), "\n") > 7) {
			t.Fatalf("an error without a place or too long: %v", err)
		}
		for _, s := range statements {
			if problem := roundTrip("script", s); problem != "" && !tooDeep(s) {
				t.Fatalf("%s\nfrom %q", problem, src)
			}
			ast.Walk(s, func(n ast.Node) bool {
				if n.Pos() > n.End() || int(n.End()) > len(src) {
					t.Fatalf("%T at %d to %d of %d", n, n.Pos(), n.End(), len(src))
				}
				return true
			})
		}
	})
}

// tooDeep reports whether a tree is near the limit, where the parentheses of the printed text may go beyond it.
func tooDeep(n ast.Node) bool {
	_, err := ParseScript(ast.Format(n))
	var e *sqlerr.Error
	return errors.As(err, &e) && e.Code == sqlerr.TooDeep
}

// corpus returns the SQL of all text files.
func corpus(t testing.TB) []string {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	var list []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(content), "\n\n") {
			command, rest, _ := strings.Cut(block, "\n")
			input, _, found := strings.Cut(rest, "\n----")
			switch {
			case !found || command == "complete" || command == "expected":
			case command == "expr":
				list = append(list, "SELECT "+input)
			case command == "type":
				list = append(list, "SELECT CAST(a AS "+input+")")
			default:
				list = append(list, input)
			}
		}
	}
	return list
}

// TestMutations breaks every statement of the text files in many small ways; a cheap part of what the fuzzer does, on every run.
func TestMutations(t *testing.T) {
	for _, src := range corpus(t) {
		words := strings.Fields(src)
		for i := range words {
			without := strings.Join(append(append([]string{}, words[:i]...), words[i+1:]...), " ")
			doubled := strings.Join(append(append([]string{}, words[:i+1]...), words[i:]...), " ")
			for _, mutant := range []string{without, doubled, strings.Join(words[:i], " "), strings.Join(words[i:], " ")} {
				statements, err := ParseScript(mutant)
				if err != nil {
					rendered(t, err)
				}
				for _, s := range statements {
					if problem := roundTrip("script", s); problem != "" {
						t.Errorf("%s\nfrom %s", problem, mutant)
					}
				}
			}
		}
	}
}
