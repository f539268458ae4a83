package physical

import (
	"reflect"
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// chain is what reads a table: a scan, perhaps columns computed of it, perhaps its event
// time. What is above a watermark is no part of it.
//
//	Watermark ts                 Project a, ts          Project b, ts
//	└─ Project a, CAST(t) AS ts  └──────┬───────────────┘
//	   └─ Scan [a, t]            Watermark ts
//	and the like of b        =>  └─ Project a, b, CAST(t) AS ts
//	                                └─ Scan [a, b, t]
type chain struct {
	top     plan.Node
	time    *plan.Watermark // nil: none
	project *plan.Project   // nil: the scan's columns
	scan    *plan.Scan
}

func chainOf(n plan.Node) (c chain, ok bool) {
	c.top = n
	if c.time, ok = n.(*plan.Watermark); ok {
		n = c.time.Input
	}
	if c.project, ok = n.(*plan.Project); ok {
		if c.time == nil { // it is no part of reading the table
			return c, false
		}
		n = c.project.Input
	}
	c.scan, ok = n.(*plan.Scan)
	return c, ok && c.scan.Limit == 0 && len(c.scan.Columns) > 0 // that it wants no column cannot be projected
}

// exprs are the chain's columns over those of the scan.
func (c chain) exprs() ([]expr.Expr, []string) {
	if c.project != nil {
		return c.project.Exprs, c.project.Names
	}
	return plan.Columns(c.scan.Columns), c.scan.Columns.Names()
}

// alike reports whether chains read one table in the same way, but for columns.
func alike(a, b chain) bool {
	if !plan.OneTable(a.scan, b.scan) || (a.time == nil) != (b.time == nil) {
		return false
	}
	return a.time == nil || a.time.IdleMillis == b.time.IdleMillis && a.time.Processing == b.time.Processing
}

// widenScans gives chains that read one table all the columns that any of them reads, so
// that they are one. Each of their readers picks its own. of says which node of roots a
// node of the plans that are returned is.
func widenScans(roots []plan.Node) (out []plan.Node, of map[plan.Node]plan.Node) {
	var all [][]chain
	var visit func(n plan.Node)
	visit = func(n plan.Node) {
		c, ok := chainOf(n)
		if !ok {
			for _, in := range n.Inputs() {
				visit(in)
			}
			return
		}
		at := slices.IndexFunc(all, func(g []chain) bool { return !slices.ContainsFunc(g, func(d chain) bool { return !alike(c, d) }) })
		if at < 0 {
			at, all = len(all), append(all, nil)
		}
		all[at] = append(all[at], c)
	}
	for _, root := range roots {
		visit(root)
	}
	wide := map[plan.Node]plan.Node{}
	for _, g := range all {
		widen(g, wide)
	}
	of = map[plan.Node]plan.Node{}
	var replace func(n plan.Node) plan.Node
	replace = func(n plan.Node) plan.Node {
		if w := wide[n]; w != nil {
			return w
		}
		c := plan.MapInputs(n, replace)
		if c != n {
			of[c] = n
		}
		return c
	}
	for _, root := range roots {
		out = append(out, replace(root))
	}
	return out, of
}

// widen notes what stands in the place of chains that read one table.
func widen(g []chain, wide map[plan.Node]plan.Node) {
	if !slices.ContainsFunc(g, func(c chain) bool { return !plan.Equal(c.top, g[0].top) }) {
		return
	}
	scan := *g[0].scan
	scan.Columns = nil
	for _, f := range tableColumns(g[0].scan) { // in the table's order
		for _, c := range g {
			if i := c.scan.Columns.Index(f.Name); i >= 0 {
				scan.Columns = append(scan.Columns, c.scan.Columns[i])
				break
			}
		}
	}
	for _, c := range g[1:] {
		if !reflect.DeepEqual(c.scan.Predicate, scan.Predicate) {
			scan.Predicate = nil
		}
	}
	project := &plan.Project{Place: g[0].top.At(), Input: &scan}
	places := make([][]int, len(g)) // of each chain's columns in the projection, or the scan
	plain := !slices.ContainsFunc(g, func(c chain) bool { return c.project != nil })
	if plain {
		project = plan.Identity(&scan)
	}
	for i, c := range g {
		exprs, names := c.exprs()
		for k, e := range exprs {
			places[i] = append(places[i], addColumn(project, moveColumns(e, c.scan.Columns, scan.Columns), names[k]))
		}
	}
	var top plan.Node = project
	if plain {
		top = &scan
	}
	if g[0].time != nil {
		time := *g[0].time
		at := func(i int) (column int, e expr.Expr) {
			t := g[i].time
			return places[i][t.Column], plan.Renumber(t.Expr, func(c int) int { return places[i][c] })
		}
		time.Input = top
		time.Column, time.Expr = at(0)
		for i := range g {
			if column, e := at(i); column != time.Column || !expr.Equal(e, time.Expr) {
				return // the times of one table differ: a hint has changed it
			}
		}
		top = &time
	}
	schema := top.Schema()
	for i, c := range g {
		p := &plan.Project{Place: c.top.At(), Input: top, Names: c.top.Schema().Names()}
		for _, at := range places[i] {
			p.Exprs = append(p.Exprs, plan.Column(schema, at))
		}
		if wide[c.top] = p; slices.Equal(places[i], firstColumns(len(schema))) && slices.Equal(p.Names, schema.Names()) {
			wide[c.top] = top
		}
	}
}

// addColumn is the place of a column in a projection, which gets it if need be.
func addColumn(p *plan.Project, e expr.Expr, name string) int {
	for i, have := range p.Exprs {
		if expr.Equal(have, e) && p.Names[i] == name {
			return i
		}
	}
	p.Exprs, p.Names = append(p.Exprs, e), append(p.Names, name)
	return len(p.Exprs) - 1
}

// moveColumns is e, which is over some columns of a table, over others.
func moveColumns(e expr.Expr, from, to datatype.Schema) expr.Expr {
	return plan.Renumber(e, func(i int) int { return to.Index(from[i].Name) })
}
