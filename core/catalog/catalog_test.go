package catalog_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// What statements do to a catalog is tested as text in core/plan/planner. Here is
// what no single statement shows.

func name(parts ...string) *ast.Name {
	n := &ast.Name{}
	for _, p := range parts {
		n.Parts = append(n.Parts, &ast.Ident{Name: p})
	}
	return n
}

// TestTemporaryHides shows that a temporary table hides one of the same name,
// for its session only, and that dropping it shows the other again.
func TestTemporaryHides(t *testing.T) {
	all := catalog.New()
	mine, other := catalog.NewSession(all), catalog.NewSession(all)
	create := func(s *catalog.Session, temporary bool) {
		t.Helper()
		path, err := s.Path(name("t"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(name("t"), &catalog.Table{Path: path, Temporary: temporary}, false, false); err != nil {
			t.Fatal(err)
		}
	}
	temporary := func(s *catalog.Session) bool {
		t.Helper()
		o, err := s.Resolve(name(catalog.DefaultCatalog, catalog.DefaultDatabase, "t"))
		if err != nil {
			t.Fatal(err)
		}
		return o.IsTemporary()
	}
	create(mine, false)
	create(mine, true)
	if !temporary(mine) || temporary(other) {
		t.Errorf("mine sees a temporary table: %v, the other: %v", temporary(mine), temporary(other))
	}
	if err := mine.Drop(&ast.Drop{Kind: ast.ObjectTable, Name: name("t")}); err != nil {
		t.Fatal(err)
	}
	if temporary(mine) {
		t.Error("the temporary table survived its drop")
	}
	if err := other.Drop(&ast.Drop{Kind: ast.ObjectTable, Name: name("t")}); err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Resolve(name("t")); err == nil {
		t.Error("the table survived its drop")
	}
}

// TestConcurrentSessions creates tables from many sessions at once: each name is
// stored once.
func TestConcurrentSessions(t *testing.T) {
	all := catalog.New()
	var wg sync.WaitGroup
	stored := make([]int, 8)
	for worker := range stored {
		wg.Go(func() {
			s := catalog.NewSession(all)
			for i := range 50 {
				n := name(fmt.Sprintf("t%d", i))
				path, err := s.Path(n)
				if err != nil {
					t.Error(err)
					return
				}
				if made, err := s.Create(n, &catalog.Table{Path: path}, true, false); err != nil {
					t.Error(err)
				} else if made {
					stored[worker]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range stored {
		sum += n
	}
	if names := catalog.NewSession(all).Objects(catalog.DefaultCatalog, catalog.DefaultDatabase); sum != 50 || len(names) != 50 {
		t.Errorf("%d stored, %d listed, want 50", sum, len(names))
	}
}
