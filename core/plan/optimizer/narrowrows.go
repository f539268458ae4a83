package optimizer

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// narrowRows leaves out the fields of ROW columns that nobody above a scan looks at,
// where the connector reads rows without them at less cost. Between the scan and the
// projection that takes rows apart there may be filters, watermarks and projections.
// A streaming job reads a table once for all places in its plans: then a field stays that
// any of them looks at.
func narrowRows(roots []plan.Node, o Options) []plan.Node {
	w := &narrowing{}
	if o.Streaming {
		w.looks = true
		w.all(roots)
		w.looks = false
	}
	return w.all(roots)
}

// narrowing is a walk over plans.
type narrowing struct {
	looks  bool        // it only notes what is looked at of tables
	tables []tableUses // each once; none: every scan is for itself
}

// tableUses tell what is looked at of a table's columns, by their names.
type tableUses struct {
	scan *plan.Scan
	uses map[string]*rowUse
}

func (w *narrowing) all(nodes []plan.Node) []plan.Node {
	out := make([]plan.Node, len(nodes))
	for i, n := range nodes {
		out[i] = w.node(n)
	}
	return out
}

// node narrows what is below a node of which nobody takes rows apart.
func (w *narrowing) node(n plan.Node) plan.Node {
	switch n := n.(type) {
	case *plan.Project:
		u := rowUses{}
		for _, e := range n.Exprs {
			u.add(e)
		}
		in, left := w.narrow(n.Input, u)
		c := *n
		c.Input, c.Exprs = in, left.all(n.Exprs)
		return &c
	case *plan.Scan:
		u := rowUses{}
		for i := range n.Columns {
			u.of(i).whole = true
		}
		out, _ := w.scan(n, u)
		return out
	}
	return plan.MapInputs(n, w.node)
}

// narrow returns n, of whose columns u is used, and which of them have changed.
func (w *narrowing) narrow(n plan.Node, u rowUses) (plan.Node, leftRows) {
	switch n := n.(type) {
	case *plan.Scan:
		return w.scan(n, u)
	case *plan.Filter:
		u.add(n.Cond)
		in, left := w.narrow(n.Input, u)
		c := *n
		c.Input, c.Cond = in, left.one(n.Cond)
		return &c, left
	case *plan.Watermark:
		u.add(n.Expr)
		u.of(n.Column).whole = true
		in, left := w.narrow(n.Input, u)
		c := *n
		c.Input, c.Expr = in, left.one(n.Expr)
		return &c, left
	case *plan.Project:
		return w.project(n, u)
	default:
		return w.node(n), nil
	}
}

func (w *narrowing) scan(n *plan.Scan, u rowUses) (plan.Node, leftRows) {
	if !n.Known.NarrowRows {
		return n, nil
	}
	if w.looks {
		w.note(n, u)
		return n, nil
	}
	c, left := *n, leftRows{}
	c.Columns = append(datatype.Schema(nil), n.Columns...)
	for i, f := range n.Columns {
		use := w.use(n, i, u)
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

// note adds what is used of a scan to what is used of its table.
func (w *narrowing) note(n *plan.Scan, u rowUses) {
	t := w.table(n)
	if t == nil {
		w.tables = append(w.tables, tableUses{n, map[string]*rowUse{}})
		t = &w.tables[len(w.tables)-1]
	}
	for i, use := range u {
		name := n.Columns[i].Name
		if t.uses[name] == nil {
			t.uses[name] = &rowUse{fields: map[int64]bool{}}
		}
		t.uses[name].add(use)
	}
}

// table is what is used of a scan's table, if it is noted.
func (w *narrowing) table(n *plan.Scan) *tableUses {
	for i, t := range w.tables {
		if plan.OneTable(t.scan, n) {
			return &w.tables[i]
		}
	}
	return nil
}

// use is what is used of column i of a scan, wherever its table is read.
func (w *narrowing) use(n *plan.Scan, i int, u rowUses) *rowUse {
	if t := w.table(n); t != nil {
		return t.uses[n.Columns[i].Name]
	}
	return u[i]
}

// project passes on what is used of columns that a projection passes on.
func (w *narrowing) project(n *plan.Project, u rowUses) (plan.Node, leftRows) {
	below := rowUses{}
	for i, e := range n.Exprs {
		column, ok := e.(*expr.Column)
		if !ok {
			below.add(e)
			continue
		}
		if use := u[i]; use != nil {
			below.of(column.Index).add(use)
		}
	}
	in, left := w.narrow(n.Input, below)
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

// rowUses tell what is looked at of columns, by their positions.
type rowUses map[int]*rowUse

type rowUse struct {
	whole  bool
	fields map[int64]bool
}

// add notes what another place uses.
func (r *rowUse) add(o *rowUse) {
	r.whole = r.whole || o.whole
	for field := range o.fields {
		r.fields[field] = true
	}
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
