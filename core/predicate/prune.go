package predicate

import (
	"bytes"
	"cmp"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Summary is what is known of one column over a set of rows.
type Summary struct {
	// Min and Max bound the values that are not null, in the literals' physical
	// form; nil means unknown. They need not be attained.
	Min, Max any
	// Nulls counts the null rows, Rows all rows; negative means unknown.
	Nulls, Rows int64
}

// Prune reports whether p is false or unknown for every row of a set, so that
// the set can be skipped. lookup returns a column's summary, and false where
// nothing is known; then the column excludes nothing.
func (p Predicate) Prune(lookup func(column string) (Summary, bool)) bool {
	switch p.Op {
	case And:
		for _, t := range p.Terms {
			if t.Prune(lookup) {
				return true
			}
		}
		return false
	case Or:
		for _, t := range p.Terms {
			if !t.Prune(lookup) {
				return false
			}
		}
		return len(p.Terms) > 0
	}
	s, ok := lookup(p.Column)
	if !ok {
		return false
	}
	allNull := s.Rows >= 0 && s.Nulls == s.Rows
	switch p.Op {
	case IsNull:
		return s.Nulls == 0
	case IsNotNull:
		return allNull
	case In:
		for _, l := range p.Literals {
			if !allNull && !excludes(Eq, s, l) {
				return false
			}
		}
		return true
	default:
		return allNull || excludes(p.Op, s, p.Literals[0])
	}
}

// excludes reports whether no value between the bounds satisfies op literal.
func excludes(op Op, s Summary, l any) bool {
	low, lowOK := compare(s.Min, l) // bound against literal
	high, highOK := compare(s.Max, l)
	switch op {
	case Eq:
		return lowOK && low > 0 || highOK && high < 0
	case Ne:
		return lowOK && highOK && low == 0 && high == 0
	case Lt:
		return lowOK && low >= 0
	case Le:
		return lowOK && low > 0
	case Gt:
		return highOK && high <= 0
	case Ge:
		return highOK && high < 0
	default:
		return false
	}
}

// compare orders two physical values; false where they cannot be compared, as
// with NaN, whose place differs between systems.
func compare(a, b any) (int, bool) {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y), true
		}
	case float64:
		if y, ok := b.(float64); ok && x == x && y == y {
			return cmp.Compare(x, y), true
		}
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(x, y), true
		}
	case []byte:
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y), true
		}
	case bool:
		if y, ok := b.(bool); ok {
			return cmp.Compare(bit(x), bit(y)), true
		}
	case decimal128.Num:
		if y, ok := b.(decimal128.Num); ok {
			return x.Cmp(y), true
		}
	}
	return 0, false
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Widen returns the summary of two sets of rows together.
func Widen(a, b Summary) Summary {
	out := Summary{Min: a.Min, Max: a.Max, Nulls: -1, Rows: -1}
	if c, ok := compare(b.Min, a.Min); !ok {
		out.Min = nil
	} else if c < 0 {
		out.Min = b.Min
	}
	if c, ok := compare(b.Max, a.Max); !ok {
		out.Max = nil
	} else if c > 0 {
		out.Max = b.Max
	}
	if a.Nulls >= 0 && b.Nulls >= 0 {
		out.Nulls = a.Nulls + b.Nulls
	}
	if a.Rows >= 0 && b.Rows >= 0 {
		out.Rows = a.Rows + b.Rows
	}
	return out
}
