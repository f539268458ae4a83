package binder

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// This file names columns of the queries around the one being bound. Such a
// reference is a column of which the index is below zero: it says how many frames
// out it is, 0 being the nearest, and which column of that frame. Whoever computes
// a plan beside the rows of its nearest frame resolves the references to it and
// makes all others one nearer.

// frame is the columns of a query around, of which a name that is not found nearer
// may mean one.
type frame struct {
	scope *scope
	// barred: the query is bound as if it did not depend on this frame. A name that
	// means one of its columns is an error, after which it is bound again as one that
	// does.
	barred bool
}

// outerLevel is more than the columns of any frame.
const outerLevel = 1 << 24

// outerColumn is the index of a reference to column i of the frame that is depth
// frames beyond the nearest one.
func outerColumn(i, depth int) int { return -1 - i - depth*outerLevel }

// outerOf says what an index below zero means: see outerColumn.
func outerOf(index int) (i, depth int) {
	n := -1 - index
	return n % outerLevel, n / outerLevel
}

// nearest reports whether an index refers to the nearest frame.
func nearest(index int) bool { return index < 0 && index >= -outerLevel }

// framed binds something inside of these frames.
func (b *Binder) framed(frames []frame, bind func() error) error {
	saved := b.frames
	b.frames = frames
	defer func() { b.frames = saved }()
	return bind()
}

// within binds something whose names may mean columns of outer as well.
func (b *Binder) within(outer *scope, bind func() error) error {
	return b.framed(append(slices.Clip(b.frames), frame{scope: outer}), bind)
}

// depth counts the frames that references go through.
func depth(frames []frame) int {
	n := 0
	for _, f := range frames {
		if !f.barred {
			n++
		}
	}
	return n
}

// moveOut returns n with its references, of which none may become less than 0, as
// many frames further out.
func moveOut(n plan.Node, by int) plan.Node {
	if by == 0 || free(n) {
		return n
	}
	move := func(e expr.Expr) expr.Expr {
		return plan.ReplaceColumns(e, func(c *expr.Column) expr.Expr {
			if c.Index >= 0 {
				return c
			}
			return &expr.Column{Index: c.Index - by*outerLevel, Name: c.Name, T: c.T}
		})
	}
	return plan.Transform(n, func(n plan.Node) plan.Node { return mapExprs(n, move) })
}

// nearer is n, which does not depend on the nearest frame, seen from that frame.
func nearer(n plan.Node) plan.Node { return moveOut(n, -1) }

// eachExpr visits the expressions of a node that may have outer references.
func eachExpr(n plan.Node, visit func(expr.Expr)) {
	mapExprs(n, func(e expr.Expr) expr.Expr {
		visit(e)
		return e
	})
}

// mapExprs returns a node with the expressions that may have outer references
// replaced.
func mapExprs(n plan.Node, by func(expr.Expr) expr.Expr) plan.Node {
	switch n := n.(type) {
	case *plan.Filter:
		c := *n
		c.Cond = by(n.Cond)
		return &c
	case *plan.Project:
		c := *n
		c.Exprs = make([]expr.Expr, len(n.Exprs))
		for i, e := range n.Exprs {
			c.Exprs[i] = by(e)
		}
		return &c
	case *plan.Join:
		if n.Residual == nil {
			return n
		}
		c := *n
		c.Residual = by(n.Residual)
		return &c
	case *plan.LookupJoin:
		if n.Residual == nil {
			return n
		}
		c := *n
		c.Residual = by(n.Residual)
		return &c
	case *plan.TemporalJoin:
		if n.Residual == nil {
			return n
		}
		c := *n
		c.Residual = by(n.Residual)
		return &c
	}
	return n
}

// eachOuter visits the outer references in n and below.
func eachOuter(n plan.Node, visit func(index int)) {
	plan.Walk(n, func(n plan.Node) {
		eachExpr(n, func(e expr.Expr) {
			plan.EachColumn(e, func(c *expr.Column) {
				if c.Index < 0 {
					visit(c.Index)
				}
			})
		})
	})
}

// free reports whether n has no outer references.
func free(n plan.Node) bool {
	none := true
	eachOuter(n, func(int) { none = false })
	return none
}

// outerColumns are the columns of the nearest frame that n uses.
func outerColumns(n plan.Node) map[int]bool {
	used := map[int]bool{}
	eachOuter(n, func(index int) {
		if i, depth := outerOf(index); depth == 0 {
			used[i] = true
		}
	})
	return used
}

// correlated reports whether n depends on the nearest frame.
func correlated(n plan.Node) bool { return len(outerColumns(n)) > 0 }
