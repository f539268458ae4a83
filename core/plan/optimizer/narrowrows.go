package optimizer

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// narrowRows leaves out the fields of ROW columns that nobody above a scan looks at,
// where the connector reads rows without them at less cost. Between the scan and the
// projection that takes rows apart there may be filters, watermarks and projections.
func narrowRows(n plan.Node) plan.Node {
	if p, ok := n.(*plan.Project); ok {
		u := rowUses{}
		for _, e := range p.Exprs {
			u.add(e)
		}
		in, left := u.narrow(p.Input)
		c := *p
		c.Input, c.Exprs = in, left.all(p.Exprs)
		n = &c
	}
	return plan.MapInputs(n, narrowRows)
}

// rowUses tell what is looked at of columns, by their positions.
type rowUses map[int]*rowUse

type rowUse struct {
	whole  bool
	fields map[int64]bool
}

func (u rowUses) of(column int) *rowUse {
	if u[column] == nil {
		u[column] = &rowUse{fields: map[int64]bool{}}
	}
	return u[column]
}

// fieldAccess returns the column and the position of its field that e is, if it is one.
func fieldAccess(e expr.Expr) (*expr.Column, int64, bool) {
	call, ok := e.(*expr.Call)
	if !ok || call.Function != "." || len(call.Args) != 2 {
		return nil, 0, false
	}
	column, isColumn := call.Args[0].(*expr.Column)
	at, isLiteral := call.Args[1].(*expr.Literal)
	if !isColumn || !isLiteral {
		return nil, 0, false
	}
	field, ok := at.Value.(int64)
	return column, field, ok
}

// add notes what an expression looks at.
func (u rowUses) add(e expr.Expr) {
	if e == nil {
		return
	}
	expr.Walk(e, func(e expr.Expr) bool {
		if column, field, ok := fieldAccess(e); ok {
			u.of(column.Index).fields[field] = true
			return false
		}
		if column, ok := e.(*expr.Column); ok {
			u.of(column.Index).whole = true
		}
		return true
	})
}

// leftRows are the columns that have fewer fields than before, by their positions.
type leftRows map[int]leftRow

type leftRow struct {
	t  datatype.Type
	at map[int64]int64 // new positions of fields, by the old ones
}

// all returns expressions over the columns that are left.
func (l leftRows) all(exprs []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(exprs))
	for i, e := range exprs {
		out[i] = l.one(e)
	}
	return out
}

func (l leftRows) one(e expr.Expr) expr.Expr {
	if e == nil {
		return nil
	}
	return expr.Rewrite(e, func(e expr.Expr) expr.Expr {
		if c, ok := e.(*expr.Column); ok {
			if row, ok := l[c.Index]; ok {
				return &expr.Column{Index: c.Index, Name: c.Name, T: row.t}
			}
			return e
		}
		column, field, ok := fieldAccess(e)
		if !ok {
			return e
		}
		row, ok := l[column.Index]
		if !ok {
			return e
		}
		call := *e.(*expr.Call)
		call.Args = []expr.Expr{column, &expr.Literal{Value: row.at[field], T: call.Args[1].Type()}}
		return &call
	})
}

// narrow returns n with what is used of its columns, and which of them have changed.
func (u rowUses) narrow(n plan.Node) (plan.Node, leftRows) {
	switch n := n.(type) {
	case *plan.Scan:
		return u.narrowScan(n)
	case *plan.Filter:
		u.add(n.Cond)
		in, left := u.narrow(n.Input)
		c := *n
		c.Input, c.Cond = in, left.one(n.Cond)
		return &c, left
	case *plan.Watermark:
		u.add(n.Expr)
		u.of(n.Column).whole = true
		in, left := u.narrow(n.Input)
		c := *n
		c.Input, c.Expr = in, left.one(n.Expr)
		return &c, left
	case *plan.Project:
		return u.narrowProject(n)
	default:
		return n, nil
	}
}

func (u rowUses) narrowScan(n *plan.Scan) (plan.Node, leftRows) {
	if !n.Known.NarrowRows {
		return n, nil
	}
	c, left := *n, leftRows{}
	c.Columns = append(datatype.Schema(nil), n.Columns...)
	for i, f := range n.Columns {
		use := u[i]
		if f.Type.Kind != datatype.Row || use == nil || use.whole || len(use.fields) == 0 || len(use.fields) == len(f.Type.Fields) {
			continue
		}
		row := leftRow{t: f.Type, at: map[int64]int64{}}
		row.t.Fields = nil
		for k, field := range f.Type.Fields {
			if use.fields[int64(k)] {
				row.at[int64(k)] = int64(len(row.t.Fields))
				row.t.Fields = append(row.t.Fields, field)
			}
		}
		c.Columns[i].Type, left[i] = row.t, row
	}
	return &c, left
}

// narrowProject passes on what is used of columns that the projection passes on.
func (u rowUses) narrowProject(n *plan.Project) (plan.Node, leftRows) {
	below := rowUses{}
	for i, e := range n.Exprs {
		column, ok := e.(*expr.Column)
		if !ok {
			below.add(e)
			continue
		}
		if use := u[i]; use != nil {
			to := below.of(column.Index)
			to.whole = to.whole || use.whole
			for field := range use.fields {
				to.fields[field] = true
			}
		}
	}
	in, left := below.narrow(n.Input)
	c := *n
	c.Input, c.Exprs = in, left.all(n.Exprs)
	out := leftRows{}
	for i, e := range n.Exprs {
		if column, ok := e.(*expr.Column); ok {
			if row, ok := left[column.Index]; ok {
				out[i] = row
			}
		}
	}
	return &c, out
}
