package fuzz

import (
	"fmt"
	"math/rand/v2"
)

// kind is a family of types.
type kind int

const (
	noKind kind = iota
	boolean
	integer
	decimal
	double
	text
	date
	timestamp
)

// typ is a type and what is known of its values.
type typ struct {
	kind  kind
	bits  int  // of integers
	p, s  int  // of decimals
	size  int  // of integers and doubles: values stay below 10^size
	rough bool // of doubles: the last bits depend on the order of additions
}

var (
	boolType = typ{kind: boolean}
	textType = typ{kind: text}
	dateType = typ{kind: date}
	timeType = typ{kind: timestamp}
)

func intType(bits, size int) typ { return typ{kind: integer, bits: bits, size: size} }
func decType(p, s int) typ       { return typ{kind: decimal, p: p, s: s} }
func dblType(size int) typ       { return typ{kind: double, size: size} }

// capacity is the most digits that any value of so many bits can have.
func capacity(bits int) int { return map[int]int{8: 2, 16: 4, 32: 9, 64: 18}[bits] }

func (t typ) class() class {
	return [...]class{fixed, aBool, anInt, aDecimal, aDouble, aText, aDate, aTimestamp}[t.kind]
}

// sql is the type's name, in both dialects.
func (t typ) sql() string {
	switch t.kind {
	case boolean:
		return "BOOLEAN"
	case integer:
		return map[int]string{8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}[t.bits]
	case decimal:
		return fmt.Sprintf("DECIMAL(%d, %d)", t.p, t.s)
	case double:
		return "DOUBLE"
	case text:
		return "VARCHAR"
	case date:
		return "DATE"
	default:
		return "TIMESTAMP"
	}
}

// ourName is the type in a CREATE TABLE here.
func (t typ) ourName() string {
	switch t.kind {
	case text:
		return "STRING"
	case timestamp:
		return "TIMESTAMP(6)"
	default:
		return t.sql()
	}
}

// term is a typed expression.
type term struct {
	*node
	typ typ
	// column: it depends on a row, so that it is no constant to group or order by.
	column bool
}

// pick returns one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// chance is true n times of 100.
func chance(r *rand.Rand, n int) bool { return r.IntN(100) < n }
