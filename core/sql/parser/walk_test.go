package parser

import (
	"fmt"
	goparser "go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	goast "go/ast"

	"github.com/tidemill/tidemill/core/sql/ast"
)

// TestWalkReachesEverything compares Walk with a walk by reflection over every statement of the text files, and checks that those
// statements have every kind of node in them. It keeps away the bug of a field that Walk forgets.
func TestWalkReachesEverything(t *testing.T) {
	seen := map[string]bool{}
	for _, src := range corpus(t) {
		statements, _ := ParseScript(src)
		for _, s := range statements {
			want := map[any]bool{}
			reflected(reflect.ValueOf(s), want)
			have := map[any]bool{}
			ast.Walk(s, func(n ast.Node) bool {
				if have[n] {
					t.Errorf("%T is visited twice in %s", n, src)
				}
				have[n] = true
				seen[reflect.TypeOf(n).Elem().Name()] = true
				if ast.Format(n) == "" && !empty(n) {
					t.Errorf("%T has no text in %s", n, src)
				}
				return true
			})
			for n := range want {
				if !have[n] {
					t.Errorf("%T is not visited in %s", n, src)
				}
			}
			if len(have) != len(want) {
				t.Errorf("%d nodes are visited, %d are there in %s", len(have), len(want), src)
			}
		}
	}
	for _, name := range nodeTypes(t) {
		if !seen[name] {
			t.Errorf("no test statement has a %s", name)
		}
	}
}

// empty reports whether a node may have an empty text.
func empty(n ast.Node) bool {
	_, clauses := n.(*ast.JSONClauses)
	return clauses
}

// reflected collects the pointers to all nodes below v.
func reflected(v reflect.Value, nodes map[any]bool) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			reflected(v.Elem(), nodes)
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if n, ok := v.Interface().(ast.Node); ok {
			nodes[n] = true
		}
		reflected(v.Elem(), nodes)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if b, ok := f.Interface().(ast.FrameBound); ok {
				if b.Kind != ast.BoundNone {
					reflected(f.Addr(), nodes)
				}
				continue
			}
			reflected(f, nodes)
		}
	case reflect.Slice:
		for i := range v.Len() {
			reflected(v.Index(i), nodes)
		}
	}
}

// nodeTypes reads the names of all struct types of package ast that embed Span.
func nodeTypes(t *testing.T) []string {
	files, err := filepath.Glob("../ast/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		parsed, err := goparser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		goast.Inspect(parsed, func(n goast.Node) bool {
			if spec, ok := n.(*goast.TypeSpec); ok && embedsSpan(spec) {
				names = append(names, spec.Name.Name)
			}
			return true
		})
	}
	if len(names) < 100 || !strings.Contains(strings.Join(names, " "), "MatchRecognize") {
		t.Fatalf("only %d node types are found", len(names))
	}
	return names
}

func embedsSpan(spec *goast.TypeSpec) bool {
	s, ok := spec.Type.(*goast.StructType)
	if !ok || len(s.Fields.List) == 0 {
		return false
	}
	first := s.Fields.List[0]
	return len(first.Names) == 0 && fmt.Sprint(first.Type) == "Span"
}
