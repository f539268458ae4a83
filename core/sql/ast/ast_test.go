package ast

import (
	"slices"
	"strings"
	"testing"
)

func id(name string) *Ident { return &Ident{Name: name} }

func column(names ...string) Expr {
	c := &ColumnRef{}
	for _, n := range names {
		c.Parts = append(c.Parts, id(n))
	}
	return c
}

// TestFormatOfBuiltNodes shows nodes that no text was parsed for: names get the quotes that they need, and operators parentheses.
// What the parser makes is tested in its own package, in both directions.
func TestFormatOfBuiltNodes(t *testing.T) {
	a, b := column("a"), column("b")
	for want, n := range map[string]Node{
		"`select`":              id("select"),
		"`weird name`":          id("weird name"),
		"`a``b`":                id("a`b"),
		`"a""b"`:                &Ident{Name: `a"b`, Quote: '"'},
		"`1a`":                  id("1a"),
		"``":                    id(""),
		"größe.`x.y`":           &Name{Parts: []*Ident{id("größe"), id("x.y")}},
		"(a + b) * a":           &Binary{Op: OpMul, L: &Binary{Op: OpAdd, L: a, R: b}, R: a},
		"a - (b - a)":           &Binary{Op: OpSub, L: a, R: &Binary{Op: OpSub, L: b, R: a}},
		"- -a":                  &Unary{Op: OpNeg, X: &Unary{Op: OpNeg, X: a}},
		"(a OR b) IS NULL":      &Is{X: &Binary{Op: OpOr, L: a, R: b}, Test: IsNull},
		"(NOT a) = b":           &Binary{Op: OpEq, L: &Unary{Op: OpNot, X: a}, R: b},
		"'it''s'":               &StringLit{Value: "it's"},
		"CAST(a AS INT)":        &Cast{X: a, Type: &BasicType{Kind: TypeInt, Precision: -1, Scale: -1}},
		"LEFT(a, b)":            &Call{Func: &Name{Parts: []*Ident{id("LEFT")}}, Args: []Expr{a, b}},
		"SELECT a FROM `order`": &Select{Items: []*SelectItem{{Expr: a}}, From: &TableRef{Name: &Name{Parts: []*Ident{id("order")}}}},
	} {
		if have := Format(n); have != want {
			t.Errorf("have %s, want %s", have, want)
		}
	}
}

func TestWalkStops(t *testing.T) {
	var seen []string
	x := &Binary{Op: OpAnd, L: &Subquery{Query: &Values{Rows: []Expr{column("hidden")}}}, R: column("b")}
	Walk(x, func(n Node) bool {
		if i, ok := n.(*Ident); ok {
			seen = append(seen, i.Name)
		}
		_, sub := n.(*Subquery)
		return !sub
	})
	if !slices.Equal(seen, []string{"b"}) {
		t.Errorf("visited %v", seen)
	}
	Walk(nil, func(Node) bool { t.Error("nil is visited"); return true })
}

func TestReservedWords(t *testing.T) {
	if !slices.IsSorted(reservedWords) || len(slices.Compact(slices.Clone(reservedWords))) != len(reservedWords) {
		t.Error("the reserved words are not in order")
	}
	for _, w := range reservedWords {
		if !IsReserved(w) || !IsReserved(strings.ToLower(w)) {
			t.Errorf("%s is not reserved", w)
		}
	}
	if IsReserved("value") {
		t.Error("value is reserved")
	}
}

func TestTimeUnits(t *testing.T) {
	for word, want := range map[string]TimeUnit{
		"DAY": UnitDay, "DAYS": UnitDay, "SQL_TSI_MONTH": UnitMonth, "MILLENNIUM": UnitMillennium, "EPOCH": UnitEpoch,
		"EPOCHS": UnitNone, "SQL_TSI_": UnitNone, "": UnitNone, "day": UnitNone,
	} {
		if have := ParseTimeUnit(word); have != want {
			t.Errorf("%s is %s, want %s", word, have, want)
		}
	}
}

func TestEnumsOutOfRange(t *testing.T) {
	for _, s := range []string{OpInvalid.String(), BinaryOp(200).String(), JoinInvalid.String(), ObjectKind(99).String()} {
		if s != "invalid" {
			t.Errorf("an invalid value is called %s", s)
		}
	}
}
