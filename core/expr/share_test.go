package expr

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What one column computes another one reads: the largest parts, and only what gives
// one result for one row.
func TestShare(t *testing.T) {
	for _, c := range []struct{ in, want, order string }{
		{"(* a 2); (+ (* a 2) a)", "a * 2; $0 + a", "[0 1]"},
		{"(+ (* a 2) a); (* a 2)", "$1 + a; a * 2", "[1 0]"},
		{"(* a 2); (* (* a 2) a); (- (* (* a 2) a) (* a 2))", "a * 2; $0 * a; $1 - $0", "[0 1 2]"},
		{"(* a 2); a; (* a 2)", "a * 2; a; $0", "[1 0 2]"},
		{"(CASE (> a 1) (* a 2) a); (* a 2)", "CASE WHEN a > 1 THEN $1 ELSE a END; a * 2", "[1 0]"},
		{"(* a 2); (* a 3)", "a * 2; a * 3", "[]"},
		{"(RAND); (+ (RAND) f)", "RAND(); RAND() + f", "[]"},
		{"a; (+ a 1)", "a; a + 1", "[]"},
	} {
		var exprs []Expr
		for part := range strings.SplitSeq(c.in, "; ") {
			exprs = append(exprs, tree(t, part))
		}
		out, order := Share(exprs, len(treeSchema))
		var texts []string
		for _, e := range out {
			texts = append(texts, String(Rewrite(e, func(e Expr) Expr {
				if x, ok := e.(*Column); ok && x.Index >= len(treeSchema) {
					return &Column{Name: fmt.Sprintf("$%d", x.Index-len(treeSchema)), T: x.T}
				}
				return e
			})))
		}
		got := strings.NewReplacer("(", "", ")", "", "`", "").Replace(strings.Join(texts, "; "))
		if want := strings.NewReplacer("(", "", ")", "").Replace(c.want); got != want || fmt.Sprint(order) != c.order {
			t.Errorf("%s: %s %v, want %s %s", c.in, got, order, want, c.order)
		}
		if order == nil && !slices.Equal(out, exprs) {
			t.Errorf("%s: nothing shared, but not the same", c.in)
		}
	}
}
