package binder

import (
	"fmt"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// decorrelator computes a plan with outer references for each row of a domain
// (Neumann and Kemper, Unnesting Arbitrary Queries): it pushes the domain down to
// where the plan no longer uses it, and joins it there. Each node above gets the
// domain's columns first, groups by them, numbers rows within them and passes them
// on.
type decorrelator struct {
	*Binder
	domain  plan.Node
	width   int         // columns of the domain
	columns []int       // what they are of the outer rows
	place   map[int]int // of an outer column in the domain; nil: the same
}

// push returns n for each row of the domain: the domain's columns, then n's.
func (d *decorrelator) push(n plan.Node) (plan.Node, error) {
	if values, ok := n.(*plan.Values); ok && len(values.Rows) == 1 {
		return d.constants(values), nil
	}
	if !correlated(n) {
		return &plan.Join{Place: n.At(), Left: d.domain, Right: nearer(n), Kind: plan.Inner}, nil
	}
	switch n := n.(type) {
	case *plan.Join:
		return d.join(n)
	case *plan.Limit:
		return d.limit(n)
	case *plan.Union:
		return d.union(n)
	case *plan.Sort: // the order of a table means nothing
		return d.push(n.Input)
	}
	if len(n.Inputs()) != 1 {
		return nil, d.refuse(n)
	}
	in, err := d.push(n.Inputs()[0])
	if err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case *plan.Filter:
		return &plan.Filter{Place: n.Place, Input: in, Cond: d.beside(n.Cond, d.width)}, nil
	case *plan.Project:
		return d.project(n, in), nil
	case *plan.Unnest:
		c := *n
		c.Input, c.Column, c.Keep = in, n.Column+d.width, append(numbers(0, d.width), moved(n.Keep, d.width)...)
		return &c, nil
	case *plan.Expand:
		c := *n
		c.Input, c.Keys = in, moved(n.Keys, d.width)
		return &c, nil
	case *plan.Aggregate:
		return d.aggregate(n, in)
	case *plan.Over:
		return d.over(n, in)
	}
	return nil, d.refuse(n)
}

// constants is one row beside each row of the domain.
func (d *decorrelator) constants(n *plan.Values) plan.Node {
	out := plan.Identity(d.domain)
	for i, f := range n.Columns {
		out.Exprs, out.Names = append(out.Exprs, n.Rows[0][i]), append(out.Names, f.Name)
	}
	return out
}

func (d *decorrelator) refuse(n plan.Node) error {
	return sqlerr.New(sqlerr.Unsupported, n.At(), "%s of rows that depend on columns of an outer query is not supported yet", n.Label())
}

// numbers are the n numbers from first.
func numbers(first, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = first + i
	}
	return out
}

func moved(columns []int, by int) []int {
	out := make([]int, len(columns))
	for i, c := range columns {
		out[i] = c + by
	}
	return out
}

// beside returns e with references to the nearest frame resolved to the domain's
// columns, which come first, and its other columns moved by as many as stand before
// them.
func (d *decorrelator) beside(e expr.Expr, by int) expr.Expr {
	if e == nil {
		return nil
	}
	return plan.ReplaceColumns(e, func(c *expr.Column) expr.Expr {
		to := c.Index + by
		switch i, depth := outerOf(c.Index); {
		case c.Index >= 0:
		case depth > 0:
			to = outerColumn(i, depth-1)
		case d.place != nil:
			to = d.place[i]
		default:
			to = i
		}
		return &expr.Column{Index: to, Name: c.Name, T: c.T}
	})
}

func (d *decorrelator) project(n *plan.Project, in plan.Node) plan.Node {
	out := &plan.Project{Place: n.Place, Input: in}
	schema := in.Schema()
	for i := range d.width {
		out.Exprs, out.Names = append(out.Exprs, plan.Column(schema, i)), append(out.Names, schema[i].Name)
	}
	for i, e := range n.Exprs {
		out.Exprs, out.Names = append(out.Exprs, d.beside(e, d.width)), append(out.Names, n.Names[i])
	}
	return out
}

func (d *decorrelator) union(n *plan.Union) (plan.Node, error) {
	c := &plan.Union{Place: n.Place}
	for _, in := range n.All {
		side, err := d.push(in)
		if err != nil {
			return nil, err
		}
		c.All = append(c.All, side)
	}
	return c, nil
}

// join pushes the domain into the sides that use it, and into the left one if
// only the condition does. Both sides are then equal in the domain, too.
func (d *decorrelator) join(n *plan.Join) (plan.Node, error) {
	width := len(n.Left.Schema())
	switch n.Kind {
	case plan.Right:
		return d.rightJoin(n, width)
	case plan.Full:
		return d.fullJoin(n, width)
	}
	if n.Kind == plan.Inner && !correlated(n.Left) && correlated(n.Right) {
		return d.joinRight(n, width)
	}
	left, err := d.push(n.Left)
	if err != nil {
		return nil, err
	}
	c := *n
	c.Left = left
	if !correlated(n.Right) {
		c.Right = nearer(n.Right)
		c.Residual = d.beside(n.Residual, d.width)
		return &c, nil
	}
	if c.Right, err = d.push(n.Right); err != nil {
		return nil, err
	}
	if err := d.sameDomain(&c, width); err != nil {
		return nil, err
	}
	if n.Kind == plan.Semi || n.Kind == plan.Anti {
		return &c, nil
	}
	both := d.width + width // columns before the right side's
	all := c.Schema()
	return chosen(&c, append(numbers(0, both), numbers(both+d.width, len(all)-both-d.width)...)), nil
}

// sameDomain makes c, a join of which both sides have the domain's columns first and
// whose left one had width columns, join rows of the same row of the domain.
func (d *decorrelator) sameDomain(c *plan.Join, width int) error {
	terms := plan.Conjuncts(d.besideBoth(c.Residual, width))
	for i := range d.width {
		r := plan.Column(c.Right.Schema(), i)
		r.Index += d.width + width
		same, err := d.same(place(c.Place), plan.Column(c.Left.Schema(), i), r)
		if err != nil {
			return err
		}
		terms = append(terms, same...)
	}
	c.Residual = plan.AllOf(terms)
	return nil
}

// rightJoin is the left join of the exchanged sides.
func (d *decorrelator) rightJoin(n *plan.Join, width int) (plan.Node, error) {
	other := len(n.Right.Schema())
	c := *n
	c.Kind, c.Left, c.Right = plan.Left, n.Right, n.Left
	if n.Residual != nil {
		c.Residual = plan.Renumber(n.Residual, func(i int) int {
			if i < width {
				return i + other
			}
			return i - width
		})
	}
	node, err := d.push(&c)
	if err != nil {
		return nil, err
	}
	columns := append(numbers(0, d.width), numbers(d.width+other, width)...)
	return chosen(node, append(columns, numbers(d.width, other)...)), nil
}

// fullJoin pushes the domain into both sides; a row has it from one that is there.
func (d *decorrelator) fullJoin(n *plan.Join, width int) (plan.Node, error) {
	c := *n
	var err error
	if c.Left, err = d.push(n.Left); err != nil {
		return nil, err
	}
	if c.Right, err = d.push(n.Right); err != nil {
		return nil, err
	}
	if err := d.sameDomain(&c, width); err != nil {
		return nil, err
	}
	both := d.width + width
	schema := c.Schema()
	out := chosen(&c, append(numbers(0, both), numbers(both+d.width, len(schema)-both-d.width)...)).(*plan.Project)
	for i := range d.width {
		if out.Exprs[i], err = d.resolve("COALESCE", place(n.Place), plan.Column(schema, i), plan.Column(schema, both+i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// besideBoth is beside where the domain's columns come before those of each side
// of a join, of which the left one has width columns.
func (d *decorrelator) besideBoth(e expr.Expr, width int) expr.Expr {
	if e == nil {
		return nil
	}
	return plan.Renumber(d.beside(e, d.width), func(i int) int {
		if i >= d.width+width {
			return i + d.width
		}
		return i
	})
}

// joinRight pushes the domain into the right side alone.
func (d *decorrelator) joinRight(n *plan.Join, width int) (plan.Node, error) {
	right, err := d.push(n.Right)
	if err != nil {
		return nil, err
	}
	c := *n
	c.Left, c.Right = nearer(n.Left), right
	if n.Residual != nil {
		c.Residual = plan.Renumber(d.beside(n.Residual, d.width), func(i int) int {
			switch {
			case i < d.width:
				return width + i
			case i < d.width+width:
				return i - d.width
			}
			return i
		})
	}
	columns := append(numbers(width, d.width), numbers(0, width)...)
	return chosen(&c, append(columns, numbers(width+d.width, len(right.Schema())-d.width)...)), nil
}

// chosen projects n to some of its columns.
func chosen(n plan.Node, columns []int) plan.Node {
	schema := n.Schema()
	out := &plan.Project{Place: n.At(), Input: n}
	for _, c := range columns {
		out.Exprs, out.Names = append(out.Exprs, plan.Column(schema, c)), append(out.Names, schema[c].Name)
	}
	return out
}

// limit numbers the rows of each row of the domain and keeps the first ones.
func (d *decorrelator) limit(n *plan.Limit) (plan.Node, error) {
	input := n.Input
	var order []plan.SortKey
	if sort, ok := input.(*plan.Sort); ok {
		input, order = sort.Input, sort.Keys
	}
	in, err := d.push(input)
	if err != nil {
		return nil, err
	}
	row, err := d.rowNumber()
	if err != nil {
		return nil, err
	}
	over := &plan.Over{Place: n.Place, Input: in, Partition: numbers(0, d.width), Calls: []plan.OverCall{row}}
	for _, k := range order {
		k.Column += d.width
		over.Order = append(over.Order, k)
	}
	schema := over.Schema()
	number := plan.Column(schema, len(schema)-1)
	var terms []expr.Expr
	if n.Offset > 0 {
		after, err := d.resolve(">", place(n.Place), number, bigint(n.Offset))
		if err != nil {
			return nil, err
		}
		terms = append(terms, after)
	}
	if n.Count >= 0 {
		first, err := d.resolve("<=", place(n.Place), number, bigint(n.Offset+n.Count))
		if err != nil {
			return nil, err
		}
		terms = append(terms, first)
	}
	return chosen(plan.Where(over, terms), numbers(0, len(schema)-1)), nil
}

// rowNumber is ROW_NUMBER().
func (b *Binder) rowNumber() (plan.OverCall, error) {
	row, err := b.Functions.ResolveWindow("ROW_NUMBER", nil)
	if err != nil {
		return plan.OverCall{}, fmt.Errorf("number rows: %w", err)
	}
	return plan.OverCall{
		Call:  plan.Call{Function: row.Name, Filter: -1, Type: row.Return, Name: "number"},
		Frame: plan.Frame{Range: true, From: plan.Bound{Kind: ast.BoundUnboundedPreceding}, To: plan.Bound{Kind: ast.BoundCurrentRow}},
	}, nil
}

func (d *decorrelator) over(n *plan.Over, in plan.Node) (plan.Node, error) {
	c := *n
	c.Input, c.Partition = in, append(numbers(0, d.width), moved(n.Partition, d.width)...)
	c.Order = append([]plan.SortKey(nil), n.Order...)
	for i := range c.Order {
		c.Order[i].Column += d.width
	}
	c.Calls = append([]plan.OverCall(nil), n.Calls...)
	for i := range c.Calls {
		c.Calls[i].Call = d.call(c.Calls[i].Call)
	}
	return &c, nil
}

func (d *decorrelator) call(c plan.Call) plan.Call {
	c.Args = moved(c.Args, d.width)
	if c.Filter >= 0 {
		c.Filter += d.width
	}
	return c
}

// aggregate groups by the domain's columns, too. Without keys of its own it has a
// row for each row of the domain: where there was nothing to aggregate, that is
// added by a join.
func (d *decorrelator) aggregate(n *plan.Aggregate, in plan.Node) (plan.Node, error) {
	agg := &plan.Aggregate{Place: n.Place, Input: in, Keys: append(numbers(0, d.width), moved(n.Keys, d.width)...)}
	for _, c := range n.Calls {
		agg.Calls = append(agg.Calls, d.call(c))
	}
	if len(n.Keys) > 0 || len(n.Calls) == 0 {
		return agg, nil
	}
	at := place(n.Place)
	marked := plan.Identity(agg)
	marked.Exprs, marked.Names = append(marked.Exprs, boolLiteral(true)), append(marked.Names, "present")
	own := &decorrelator{Binder: d.Binder, width: d.width, columns: numbers(0, d.width)}
	join, err := own.joinBack(at, d.domain, marked, plan.Left)
	if err != nil {
		return nil, err
	}
	schema := join.Schema()
	out := chosen(join, numbers(0, d.width)).(*plan.Project)
	for i, c := range n.Calls {
		var value expr.Expr = plan.Column(schema, 2*d.width+i)
		if c.Function == "COUNT" || c.Function == "SUM0" {
			if value, err = d.orElse(at, plan.Column(schema, len(schema)-1), value, castTo(intLiteral(0), c.Type)); err != nil {
				return nil, err
			}
		}
		out.Exprs, out.Names = append(out.Exprs, value), append(out.Names, c.Name)
	}
	return out, nil
}

// place makes a node of a span, for messages.
func place(s ast.Span) ast.Node { return &ast.Ident{Span: s} }
