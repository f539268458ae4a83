package binder

import (
	"math"
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// bindOrdered binds ORDER BY, OFFSET and LIMIT around a query. Around a SELECT
// the keys may use the columns of its FROM; elsewhere only the output's.
func (b *Binder) bindOrdered(q *ast.OrderedQuery) (plan.Node, error) {
	if s, ok := q.Body.(*ast.Select); ok {
		return b.bindSelect(s, q)
	}
	node, err := b.Query(q.Body)
	if err != nil {
		return nil, err
	}
	width := len(node.Schema())
	project := plan.Identity(node)
	x := exprBinder{Binder: b, scope: scopeOf("", node.Schema()), clause: "ORDER BY"}
	keys := make([]orderKey, len(q.OrderBy))
	for i, o := range q.OrderBy {
		keys[i].item = o
		if n, ok := o.Expr.(*ast.NumberLit); ok {
			if keys[i].column, err = b.position(n, "ORDER BY", width); err != nil {
				return nil, err
			}
			continue
		}
		e, err := x.bind(o.Expr)
		if err != nil {
			return nil, err
		}
		keys[i].column = addColumn(project, e)
	}
	if len(project.Exprs) == width {
		return b.sortAndLimit(node, keys, q)
	}
	if node, err = b.sortAndLimit(project, keys, q); err != nil {
		return nil, err
	}
	visible := plan.Identity(node)
	visible.Exprs, visible.Names = visible.Exprs[:width], visible.Names[:width]
	return visible, nil
}

func (b *Binder) sortAndLimit(node plan.Node, keys []orderKey, q *ast.OrderedQuery) (plan.Node, error) {
	if len(keys) > 0 {
		sort := &plan.Sort{Place: b.at(keys[0].item), Input: node}
		schema := node.Schema()
		for _, k := range keys {
			t := schema[k.column].Type
			if unordered(t) {
				return nil, b.errorf(sqlerr.TypeMismatch, k.item, "%s has no order", t.WithNull(true))
			}
			first := !k.item.Desc // nulls are the smallest
			if k.item.Nulls != ast.NullsUnset {
				first = k.item.Nulls == ast.NullsFirst
			}
			sort.Keys = append(sort.Keys, plan.SortKey{Column: k.column, Descending: k.item.Desc, NullsFirst: first})
		}
		node = sort
	}
	if q.Limit == nil && q.Offset == nil {
		return node, nil
	}
	limit := &plan.Limit{Input: node, Count: -1}
	var err error
	if q.Limit != nil {
		limit.Place = b.at(q.Limit)
		if limit.Count, err = b.rowCount(q.Limit, "LIMIT"); err != nil {
			return nil, err
		}
	}
	if q.Offset != nil {
		limit.Place = b.at(q.Offset)
		if limit.Offset, err = b.rowCount(q.Offset, "OFFSET"); err != nil {
			return nil, err
		}
	}
	limit.Count = min(limit.Count, math.MaxInt64-limit.Offset) // their sum is a count as well
	return limit, nil
}

func (b *Binder) rowCount(e ast.Expr, clause string) (int64, error) {
	if n, ok := e.(*ast.NumberLit); ok {
		if v, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
			return v, nil
		}
	}
	return 0, b.errorf(sqlerr.BadLiteral, e, "%s wants a whole number of rows", clause)
}

// bindSetOp binds UNION; INTERSECT and EXCEPT are aggregates over the union that
// count on which side a row stands.
func (b *Binder) bindSetOp(q *ast.SetOp) (plan.Node, error) {
	left, err := b.Query(q.Left)
	if err != nil {
		return nil, err
	}
	right, err := b.Query(q.Right)
	if err != nil {
		return nil, err
	}
	all, err := b.aligned(q, left, right)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Op == ast.Union && q.All:
		return &plan.Union{Place: b.at(q), All: all}, nil
	case q.Op == ast.Union:
		return plan.Distinct(b.at(q), &plan.Union{Place: b.at(q), All: all}), nil
	case q.All:
		return b.setOpAll(q, all)
	}
	return b.countSides(q, all)
}

// setOpAll numbers equal rows on each side: what INTERSECT ALL and EXCEPT ALL do
// with repeated rows is what INTERSECT and EXCEPT do with numbered ones.
func (b *Binder) setOpAll(q *ast.SetOp, sides []plan.Node) (plan.Node, error) {
	row, err := b.rowNumber()
	if err != nil {
		return nil, err
	}
	width := len(sides[0].Schema())
	numbered := make([]plan.Node, len(sides))
	for i, side := range sides {
		over := &plan.Over{Place: b.at(q), Input: side, Partition: plan.Distinct(b.at(q), side).Keys}
		over.Calls = []plan.OverCall{row}
		numbered[i] = over
	}
	node, err := b.countSides(q, numbered)
	if err != nil {
		return nil, err
	}
	visible := plan.Identity(node)
	visible.Exprs, visible.Names = visible.Exprs[:width], visible.Names[:width]
	return visible, nil
}

// unordered are the types whose values cannot be sorted.
func unordered(t datatype.Type) bool {
	return t.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row)
}

// countSides marks the rows of each side, groups equal rows, and keeps those
// that INTERSECT or EXCEPT wants.
func (b *Binder) countSides(q *ast.SetOp, sides []plan.Node) (plan.Node, error) {
	schema := sides[0].Schema()
	width := len(schema)
	marked := make([]plan.Node, len(sides))
	for i, side := range sides {
		p := plan.Identity(side)
		for j := range sides {
			p.Exprs = append(p.Exprs, boolLiteral(i == j))
			p.Names = append(p.Names, "side"+strconv.Itoa(j))
		}
		marked[i] = p
	}
	group := plan.Distinct(b.at(q), &plan.Union{Place: b.at(q), All: marked})
	group.Keys = group.Keys[:width]
	for j := range sides {
		t := datatype.Of(datatype.Boolean)
		group.Calls = append(group.Calls, plan.Call{Function: "BOOL_OR", Args: []int{width + j}, Filter: -1, Type: t, Name: "side" + strconv.Itoa(j)})
	}
	out := group.Schema()
	var second expr.Expr = plan.Column(out, width+1)
	var err error
	if q.Op == ast.Except {
		if second, err = b.resolve("NOT", q, second); err != nil {
			return nil, err
		}
	}
	filter := &plan.Filter{Place: b.at(q), Input: group, Cond: plan.AllOf([]expr.Expr{plan.Column(out, width), second})}
	visible := plan.Identity(filter)
	visible.Exprs, visible.Names = visible.Exprs[:width], visible.Names[:width]
	return visible, nil
}
