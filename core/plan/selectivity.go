package plan

import (
	"fmt"
	"math"

	"github.com/tidemill/tidemill/core/expr"
)

// leastSelectivity keeps an estimate from saying that nothing is left.
const leastSelectivity = 1e-6

// Selectivity estimates the share of n's rows for which all terms are true.
// Terms that bound one column from both sides are taken together; otherwise
// terms count as independent.
func Selectivity(n Node, terms []expr.Expr) float64 { return newEstimates().selectivity(n, terms) }

func (e *estimates) selectivity(n Node, terms []expr.Expr) float64 {
	s := 1.0
	if p, ok := n.(*Project); ok { // over what it computes, not over its names
		n, terms = p.Input, substituted(terms, p.Exprs)
	}
	ranges := map[int]*span{}
	for _, t := range terms {
		if column, low, high, ok := bounds(t); ok {
			if e.column(n, column).Bounded {
				if ranges[column] == nil {
					ranges[column] = &span{math.Inf(-1), math.Inf(1)}
				}
				ranges[column].narrow(low, high)
				continue
			}
		}
		s *= e.term(n, t)
	}
	for column, r := range ranges {
		s *= e.column(n, column).between(r.low, r.high)
	}
	return math.Max(leastSelectivity, math.Min(1, s))
}

type span struct{ low, high float64 }

func (s *span) narrow(low, high float64) {
	s.low, s.high = math.Max(s.low, low), math.Min(s.high, high)
}

// bounds reads column < literal and the like.
func bounds(t expr.Expr) (column int, low, high float64, ok bool) {
	call, isCall := t.(*expr.Call)
	if !isCall || len(call.Args) != 2 {
		return 0, 0, 0, false
	}
	op := call.Function
	c, v, ok := columnAndNumber(call.Args[0], call.Args[1])
	if !ok {
		if c, v, ok = columnAndNumber(call.Args[1], call.Args[0]); !ok {
			return 0, 0, 0, false
		}
		op = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
	}
	switch op {
	case "<", "<=":
		return c, math.Inf(-1), v, true
	case ">", ">=":
		return c, v, math.Inf(1), true
	}
	return 0, 0, 0, false
}

func columnAndNumber(a, b expr.Expr) (column int, v float64, ok bool) {
	c, isColumn := a.(*expr.Column)
	l, isLiteral := b.(*expr.Literal)
	if !isColumn || !isLiteral || c.T.Kind != l.T.Kind || c.T.Scale != l.T.Scale {
		return 0, 0, false
	}
	v, ok = number(l.Value)
	return c.Index, v, ok
}

func (e *estimates) term(n Node, t expr.Expr) float64 {
	switch t := t.(type) {
	case *expr.Literal:
		if t.Value == true {
			return 1
		}
		return 0
	case *expr.Call:
		return e.call(n, t)
	}
	return otherSelectivity
}

func (e *estimates) call(n Node, c *expr.Call) float64 {
	switch c.Function {
	case "AND":
		return e.selectivity(n, c.Args)
	case "OR":
		miss := 1.0
		for _, a := range c.Args {
			miss *= 1 - e.selectivity(n, Conjuncts(a))
		}
		return 1 - miss
	case "NOT":
		return 1 - e.term(n, c.Args[0])
	case "=":
		return e.equalTo(n, c.Args[0], c.Args[1])
	case "<>":
		return 1 - e.equalTo(n, c.Args[0], c.Args[1])
	case "<", "<=", ">", ">=":
		if ofAggregate(n, c) {
			return havingSelectivity
		}
		return rangeSelectivity
	case "IN":
		return math.Min(otherSelectivity, e.equalTo(n, c.Args[0], c.Args[1])*float64(len(c.Args)-1))
	case "LIKE":
		return likeSelectivity(c.Args[1])
	case "IS NULL":
		return e.nulls(n, c.Args[0])
	case "IS NOT NULL":
		return 1 - e.nulls(n, c.Args[0])
	}
	return otherSelectivity
}

// likeSelectivity is the less the more characters a pattern asks for.
func likeSelectivity(pattern expr.Expr) float64 {
	text, ok := pattern.(*expr.Literal)
	if !ok {
		return otherSelectivity
	}
	asked := 0
	for _, c := range fmt.Sprint(text.Value) {
		if c != '%' && c != '_' {
			asked++
		}
	}
	return math.Max(leastLike, anyLike*math.Pow(eachLike, float64(asked)))
}

// equalTo is the share of rows whose column has one value.
func (e *estimates) equalTo(n Node, a, b expr.Expr) float64 {
	column, isColumn := a.(*expr.Column)
	if _, constant := b.(*expr.Literal); !isColumn || !constant {
		return equalSelectivity
	}
	s := e.column(n, column.Index)
	switch {
	case s.Distinct > 0:
		return (1 - s.Nulls) / s.Distinct
	case s.Base <= namesRows:
		return 1 / math.Max(1, s.Base)
	}
	return equalSelectivity
}

// nulls is the share of rows without a value.
func (e *estimates) nulls(n Node, of expr.Expr) float64 {
	if column, ok := of.(*expr.Column); ok {
		if s := e.column(n, column.Index); s.Counted {
			return s.Nulls
		}
	}
	return nullSelectivity
}

// ofAggregate reports whether a comparison is about the result of an aggregate
// function.
func ofAggregate(n Node, e *expr.Call) bool {
	agg, ok := n.(*Aggregate)
	if !ok {
		return false
	}
	found := false
	EachColumn(e, func(c *expr.Column) { found = found || c.Index >= len(agg.Keys) })
	return found
}

func substituted(terms, exprs []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(terms))
	for i, t := range terms {
		out[i] = Substitute(t, exprs)
	}
	return out
}
