package predicate

import (
	"fmt"
	"strings"
)

// Op is a comparison or connective.
type Op uint8

// The operators. In takes several literals; IsNull and IsNotNull none; And and
// Or take terms instead.
const (
	Invalid Op = iota
	Eq
	Ne
	Lt
	Le
	Gt
	Ge
	In
	IsNull
	IsNotNull
	And
	Or
)

var opNames = [...]string{"invalid", "=", "<>", "<", "<=", ">", ">=", "IN", "IS NULL", "IS NOT NULL", "AND", "OR"}

// String is the operator in SQL.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// Predicate is a condition on one row. It is immutable.
type Predicate struct {
	Op       Op
	Column   string // top-level column name; empty for And and Or
	Literals []any  // one for comparisons, several for In
	Terms    []Predicate
}

// Compare returns column op literal.
func Compare(op Op, column string, literal any) Predicate {
	return Predicate{Op: op, Column: column, Literals: []any{literal}}
}

// AllOf joins terms by AND; one term stays itself.
func AllOf(terms ...Predicate) Predicate { return join(And, terms) }

// AnyOf joins terms by OR; one term stays itself.
func AnyOf(terms ...Predicate) Predicate { return join(Or, terms) }

func join(op Op, terms []Predicate) Predicate {
	if len(terms) == 1 {
		return terms[0]
	}
	return Predicate{Op: op, Terms: terms}
}

// Columns calls visit for every column that p names, with repeats.
func (p Predicate) Columns(visit func(string)) {
	if p.Column != "" {
		visit(p.Column)
	}
	for _, t := range p.Terms {
		t.Columns(visit)
	}
}

// String is the condition in SQL, with literals in their physical form.
func (p Predicate) String() string {
	return p.Format(func(_ string, l any) string { return literal(l) })
}

// Format is the condition in SQL; spell writes a literal that a column is compared
// with.
func (p Predicate) Format(spell func(column string, l any) string) string {
	switch p.Op {
	case And, Or:
		parts := make([]string, len(p.Terms))
		for i, t := range p.Terms {
			parts[i] = t.Format(spell)
			if len(t.Terms) > 0 {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, " "+p.Op.String()+" ")
	case IsNull, IsNotNull:
		return p.Column + " " + p.Op.String()
	case In:
		parts := make([]string, len(p.Literals))
		for i, l := range p.Literals {
			parts[i] = spell(p.Column, l)
		}
		return p.Column + " IN (" + strings.Join(parts, ", ") + ")"
	default:
		return p.Column + " " + p.Op.String() + " " + spell(p.Column, p.Literals[0])
	}
}

func literal(l any) string {
	if s, ok := l.(string); ok {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return fmt.Sprint(l)
}
