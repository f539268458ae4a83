package predicate

import (
	"math"
	"testing"
)

// Skipping must never lose a row: what is not known excludes nothing, bounds are
// inclusive, and NaN proves nothing.
func TestPrune(t *testing.T) {
	known := map[string]Summary{
		"n":    {Min: int64(10), Max: int64(20), Nulls: 0, Rows: 5},
		"s":    {Min: "b", Max: "d", Nulls: 2, Rows: 5},
		"null": {Nulls: 5, Rows: 5},
		"half": {Min: int64(3), Nulls: -1, Rows: -1},
		"nan":  {Min: math.NaN(), Max: math.NaN(), Nulls: 0, Rows: 5},
	}
	lookup := func(c string) (Summary, bool) { s, ok := known[c]; return s, ok }
	for _, c := range []struct {
		p    Predicate
		want bool
	}{
		{Compare(Eq, "n", int64(9)), true},
		{Compare(Eq, "n", int64(10)), false},
		{Compare(Eq, "n", int64(21)), true},
		{Compare(Lt, "n", int64(10)), true},
		{Compare(Le, "n", int64(10)), false},
		{Compare(Gt, "n", int64(20)), true},
		{Compare(Ge, "n", int64(20)), false},
		{Compare(Ne, "n", int64(10)), false},
		{Compare(Eq, "n", "text"), false},
		{Compare(Eq, "s", "a"), true},
		{Compare(Eq, "absent", int64(1)), false},
		{Compare(Lt, "half", int64(3)), true},
		{Compare(Gt, "half", int64(9)), false},
		{Compare(Eq, "null", int64(1)), true},
		{Compare(Gt, "nan", 1.0), false},
		{Predicate{Op: IsNull, Column: "n"}, true},
		{Predicate{Op: IsNull, Column: "half"}, false},
		{Predicate{Op: IsNotNull, Column: "null"}, true},
		{Predicate{Op: IsNotNull, Column: "half"}, false},
		{Predicate{Op: In, Column: "n", Literals: []any{int64(1), int64(30)}}, true},
		{Predicate{Op: In, Column: "n", Literals: []any{int64(1), int64(15)}}, false},
		{AllOf(Compare(Eq, "n", int64(15)), Compare(Eq, "s", "z")), true},
		{AnyOf(Compare(Eq, "n", int64(15)), Compare(Eq, "s", "z")), false},
		{AnyOf(Compare(Eq, "n", int64(1)), Compare(Eq, "s", "z")), true},
		{AllOf(), false},
		{Predicate{Op: Or}, false},
	} {
		if got := c.p.Prune(lookup); got != c.want {
			t.Errorf("%v: got %v", c.p, got)
		}
	}
}

func TestString(t *testing.T) {
	p := AllOf(Compare(Ge, "a", int64(1)), AnyOf(Compare(Eq, "b", "it's"), Predicate{Op: IsNull, Column: "b"}),
		Predicate{Op: In, Column: "c", Literals: []any{int64(1), int64(2)}})
	if got, want := p.String(), "a >= 1 AND (b = 'it''s' OR b IS NULL) AND c IN (1, 2)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A bound that one side does not know is not known of both.
func TestWiden(t *testing.T) {
	got := Widen(Summary{Min: int64(3), Max: int64(5), Nulls: 1, Rows: 10}, Summary{Min: int64(1), Nulls: -1, Rows: 5})
	if got.Min != int64(1) || got.Max != nil || got.Nulls != -1 || got.Rows != 15 {
		t.Errorf("got %+v", got)
	}
}
