package plan

import (
	"math"
	"slices"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
)

// uniqueShare is the share of distinct values from which a column is taken for
// unique.
const uniqueShare = 0.9

// Statistics is what is known of the values of one column, from the bounds that
// files keep and from ANALYZE. The axis of Min and Max is the values' physical form as a number.
type Statistics struct {
	// Bounded says whether Min and Max are known.
	Bounded  bool
	Min, Max float64
	// Distinct is at most how many values there are; 0: unknown.
	Distinct float64
	// Base is how many rows the table or aggregate has that the column is from.
	Base float64
	// Counted says whether Nulls, the share of rows without a value, is known.
	Counted bool
	Nulls   float64
	// Length is the average of texts in bytes; 0: unknown.
	Length float64
}

// unique reports whether nearly each row of the base has a value of its own.
func (s Statistics) unique() bool { return s.Distinct > 0 && s.Distinct >= uniqueShare*s.Base }

// ColumnStatistics follows a column of n's output to where it comes from.
func ColumnStatistics(n Node, column int) Statistics { return newEstimates().column(n, column) }

// DistinctValues estimates how many values a column of n's output has.
func DistinctValues(n Node, column int) float64 { return newEstimates().values(n, column) }

func (e *estimates) values(n Node, column int) float64 {
	rows := e.rowsOf(n)
	switch n := n.(type) {
	case *Filter, *Sort, *Limit, *TopN, *Watermark, *Materialize:
		return math.Min(rows, e.values(n.Inputs()[0], column))
	case *Project:
		if c, ok := n.Exprs[column].(*expr.Column); ok {
			return math.Min(rows, e.values(n.Input, c.Index))
		}
	case *Join:
		side, other, keys, others := n.Left, n.Right, n.LeftKeys, n.RightKeys
		if width := len(n.Left.Schema()); column >= width {
			side, other, keys, others, column = n.Right, n.Left, n.RightKeys, n.LeftKeys, column-width
		}
		rows = math.Min(rows, e.values(side, column))
		if at := slices.Index(keys, column); at >= 0 && (n.Kind == Inner || n.Kind == Semi) {
			rows = math.Min(rows, e.values(other, others[at]))
		}
		return rows
	}
	if d := e.column(n, column).Distinct; d > 0 {
		return math.Min(rows, d)
	}
	return rows
}

func (e *estimates) column(n Node, column int) Statistics {
	at := columnOf{n, column}
	s, known := e.columns[at]
	if !known {
		s = e.follow(n, column)
		e.columns[at] = s
	}
	return s
}

func (e *estimates) follow(n Node, column int) Statistics {
	switch n := n.(type) {
	case *Scan:
		return scanStatistics(n, column)
	case *Project:
		if c, ok := n.Exprs[column].(*expr.Column); ok {
			return e.column(n.Input, c.Index)
		}
	case *Filter, *Sort, *Limit, *TopN, *Watermark, *Materialize:
		return e.column(n.Inputs()[0], column)
	case *LookupJoin, *TemporalJoin:
		if in := n.Inputs()[0]; column < len(in.Schema()) {
			return e.column(in, column)
		}
	case *Unnest:
		if column < len(n.Keep) {
			return e.column(n.Input, n.Keep[column])
		}
	case *Aggregate:
		if column < len(n.Keys) {
			s := e.column(n.Input, n.Keys[column])
			s.Base = e.rowsOf(n)
			if len(n.Keys) == 1 {
				s.Distinct = s.Base
			}
			return s
		}
	case *Join:
		if width := len(n.Left.Schema()); column >= width {
			return padded(e.column(n.Right, column-width), n.Kind == Left || n.Kind == Full)
		}
		return padded(e.column(n.Left, column), n.Kind == Right || n.Kind == Full)
	}
	return Statistics{Base: e.rowsOf(n)}
}

// padded forgets the nulls of a column of which an outer join adds some.
func padded(s Statistics, outer bool) Statistics {
	s.Counted = s.Counted && !outer
	return s
}

func scanStatistics(n *Scan, column int) Statistics {
	s := Statistics{Base: scanRows(n)}
	f := n.Columns[column]
	if known, ok := n.Known.Columns[f.Name]; ok {
		s.bound(known.Min, known.Max, f.Type)
	}
	if found := n.analyzed(); found != nil {
		if c, ok := found.Columns[f.Name]; ok {
			s.analyzed(c, float64(found.Rows), f.Type)
		}
	}
	if left := float64(n.Known.MatchPartitions); left > 0 && slices.Contains(n.Table.Partitions, f.Name) && (s.Distinct == 0 || s.Distinct > left) {
		s.Distinct = left
	}
	return s
}

// bound takes the least and the largest value, as far as they have a place on an axis.
func (s *Statistics) bound(least, largest any, t datatype.Type) {
	low, okLow := number(least)
	high, okHigh := number(largest)
	if !okLow || !okHigh || high < low {
		return
	}
	s.Bounded, s.Min, s.Max = true, low, high
	if discrete(t) {
		s.Distinct = math.Min(s.Base, high-low+1)
	}
}

// analyzed takes what ANALYZE found out about the column when its table had the given
// rows. Bounds that files keep are not older and stay.
func (s *Statistics) analyzed(c catalog.ColumnStatistics, rows float64, t datatype.Type) {
	if !s.Bounded {
		s.bound(c.Min, c.Max, t)
	}
	s.Length = c.Length
	if rows <= 0 {
		return
	}
	s.Counted, s.Nulls = true, float64(c.Nulls)/rows
	if c.Distinct < 0 {
		return
	}
	distinct := float64(c.Distinct)
	if present := rows - float64(c.Nulls); distinct >= uniqueShare*present { // it grows and shrinks with the table
		distinct = s.Base * (1 - s.Nulls)
	}
	s.Distinct = math.Max(1, math.Min(s.Base, distinct))
}

// analyzed is what ANALYZE found out about what the scan reads, or about the whole
// table; nil: nothing.
func (n *Scan) analyzed() *catalog.Statistics {
	return catalog.StatisticsOf(n.Analyzed, n.Known.Version)
}

// analyzedRows takes the bytes of a row to be what they were, in some of the partitions
// and in a table that has changed.
func (n *Scan) analyzedRows() float64 {
	s := n.analyzed()
	if s.Bytes <= 0 || n.Known.Bytes < 0 {
		return float64(s.Rows)
	}
	return float64(s.Rows) * float64(n.Known.Bytes) / float64(s.Bytes)
}

// number places a value on an axis; not all kinds have one.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	return 0, false
}

// discrete are the types whose values have a next one.
func discrete(t datatype.Type) bool {
	switch t.Kind {
	case datatype.TinyInt, datatype.SmallInt, datatype.Int, datatype.BigInt, datatype.Date, datatype.Decimal:
		return true
	}
	return false
}

// Domain estimates how many values two columns, which are compared for equality,
// have in common to choose from. A unique column bounds it: the other one refers
// to it. Where nothing is known the smaller table is taken for unique.
func Domain(a, b Statistics) float64 {
	domain := math.Min(a.Base, b.Base)
	if a.Distinct > 0 && b.Distinct > 0 {
		domain = math.Max(a.Distinct, b.Distinct)
		for _, s := range []Statistics{a, b} {
			if s.unique() {
				domain = math.Min(domain, s.Base)
			}
		}
	}
	return math.Max(1, domain)
}

// between is the share of values from low to high, either of which may be
// infinite.
func (s Statistics) between(low, high float64) float64 {
	low, high = math.Max(low, s.Min), math.Min(high, s.Max)
	if high < low {
		return 0
	}
	if s.Max == s.Min {
		return 1
	}
	return (high - low) / (s.Max - s.Min)
}
