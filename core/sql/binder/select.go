package binder

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// item is one output column of a SELECT, over the virtual row.
type item struct {
	expr  expr.Expr
	name  string
	alias bool // written with AS
	at    ast.Node
}

// selection is a SELECT while it is bound.
type selection struct {
	*Binder
	syntax  *ast.Select
	node    plan.Node
	scope   *scope
	scalars map[*ast.Subquery]int
	marks   map[ast.Expr]expr.Expr
	above   *aboveGroups
	grouped *groupWindow     // in GROUP BY; nil: none
	ordered []*ast.OrderItem // of the ORDER BY around it
	group   *grouping        // nil: not grouped
	items   []item
	having  expr.Expr
	overs   windows
	qualify expr.Expr
	order   []orderKey
	hidden  []item // sort keys that are not in the select list
}

// orderKey is a sort key: an item, or a hidden one after them.
type orderKey struct {
	column int
	item   *ast.OrderItem
}

// bindSelect binds a SELECT and the ORDER BY and LIMIT around it, if any.
func (b *Binder) bindSelect(s *ast.Select, o *ast.OrderedQuery) (plan.Node, error) {
	sel := &selection{Binder: b, syntax: s, overs: windows{named: s.Windows}}
	if o != nil {
		sel.ordered = o.OrderBy
	}
	if err := sel.refuse(); err != nil {
		return nil, err
	}
	steps := []func() error{sel.from, sel.subqueries, sel.where, sel.groupWindow, sel.list, sel.groupBy, sel.bindHaving, sel.bindQualify}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if o != nil {
		if err := sel.orderBy(o.OrderBy); err != nil {
			return nil, err
		}
	}
	if sel.group != nil {
		if err := sel.aggregateInput(); err != nil {
			return nil, err
		}
	}
	return sel.output(o)
}

func (s *selection) refuse() error {
	if err := s.refuseHints(s.syntax.Hints); err != nil {
		return err
	}
	return nil
}

func (s *selection) from() (err error) {
	if s.syntax.From == nil {
		row := oneRow(s.at(s.syntax))
		s.node, s.scope = row, hiddenScope(row.Columns)
		return nil
	}
	s.node, s.scope, err = s.bindTable(s.syntax.From)
	return err
}

// oneRow is a row that stands for no columns.
func oneRow(at ast.Span) *plan.Values {
	return &plan.Values{
		Place: at, Columns: datatype.Schema{{Name: "", Type: datatype.Of(datatype.Boolean).NotNull()}}, Rows: [][]*expr.Literal{{boolLiteral(true)}},
	}
}

// binder returns what binds the expressions of a clause that is evaluated over
// the rows of FROM.
func (s *selection) binder(clause string) *exprBinder {
	return &exprBinder{Binder: s.Binder, scope: s.scope, clause: clause, scalars: s.scalars, marks: s.marks, above: s.above, grouped: s.grouped}
}

func (s *selection) where() error {
	if s.syntax.Where == nil {
		return nil
	}
	var terms []expr.Expr
	x := s.binder("WHERE")
	for _, term := range astConjuncts(s.syntax.Where) {
		done, err := s.semiJoin(x, term)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		e, err := x.bind(term)
		if err != nil {
			return err
		}
		if e, err = s.condition(term, e, "WHERE"); err != nil {
			return err
		}
		terms = append(terms, e)
	}
	if len(terms) > 0 {
		s.node = &plan.Filter{Place: s.at(s.syntax.Where), Input: s.node, Cond: plan.AllOf(terms)}
	}
	return nil
}

func astConjuncts(e ast.Expr) []ast.Expr {
	if and, ok := e.(*ast.Binary); ok && and.Op == ast.OpAnd {
		return append(astConjuncts(and.L), astConjuncts(and.R)...)
	}
	return []ast.Expr{e}
}

// list binds the select list. Whether the query is grouped shows only here: by
// GROUP BY, HAVING, or an aggregate.
func (s *selection) list() error {
	g := &grouping{width: len(s.node.Schema())}
	for i, it := range s.syntax.Items {
		if star, ok := it.Expr.(*ast.Star); ok {
			if err := s.star(star); err != nil {
				return err
			}
			continue
		}
		x := s.binder("SELECT")
		x.group, x.overs, x.named = g, &s.overs, s.overs.named
		e, err := x.bind(it.Expr)
		if err != nil {
			return err
		}
		s.items = append(s.items, item{expr: e, name: itemName(it, i), alias: it.Alias != nil, at: it.Expr})
	}
	if s.syntax.GroupBy != nil || s.syntax.Having != nil || len(g.calls) > 0 || len(g.bits) > 0 {
		s.group = g
	}
	return nil
}

func itemName(it *ast.SelectItem, i int) string {
	if it.Alias != nil {
		return it.Alias.Name
	}
	switch e := it.Expr.(type) {
	case *ast.ColumnRef:
		return e.Parts[len(e.Parts)-1].Name
	case *ast.Field:
		return e.Name.Name
	}
	return "EXPR$" + strconv.Itoa(i)
}

func (s *selection) star(n *ast.Star) error {
	found := s.scope.starred()
	if n.Table != nil {
		if found = s.scope.ofTable(n.Table.Parts); len(found) == 0 {
			return s.errorf(sqlerr.UnknownTable, n.Table, "no table in FROM is called %s", n.Table).DidYouMean(n.Table.Last().Name, s.scope.tables())
		}
	}
	if s.syntax.From == nil {
		return s.errorf(sqlerr.BadClause, n, "* needs a FROM clause")
	}
	x := s.binder("SELECT")
	for _, i := range found {
		s.items = append(s.items, item{expr: x.column(i, n), name: s.scope.columns[i].name, at: n})
	}
	return nil
}

// aliases are what GROUP BY, HAVING and ORDER BY may call the items. A name that
// two items have means neither.
func (s *selection) aliases() map[string]expr.Expr {
	all := map[string]expr.Expr{}
	count := map[string]int{}
	for _, it := range s.items {
		if it.alias {
			all[it.name] = it.expr
			count[it.name]++
		}
	}
	for name, n := range count {
		if n > 1 {
			delete(all, name)
		}
	}
	return all
}

func (s *selection) groupBy() error {
	by := s.syntax.GroupBy
	if by == nil {
		return nil
	}
	if by.All {
		for _, it := range s.items {
			if s.onlyInput(it.expr) {
				s.addKey(it.expr, it.name)
			}
		}
		s.group.written = len(s.group.keys)
		return nil
	}
	x := s.binder("GROUP BY")
	x.aliases = s.aliases()
	sets, err := s.groupSets(x, by.Items)
	if by.Distinct {
		sets = differentSets(sets)
	}
	if s.group.several && (len(sets) > 1 || err == nil && len(sets[0]) < len(s.group.keys)) {
		s.group.sets = sets // one set of all keys is plain grouping
	}
	if err == nil {
		err = s.groupByWindow()
	}
	s.group.written = len(s.group.keys)
	return err
}

// groupKey returns the position of a key, adding it if it is new.
func (s *selection) groupKey(x *exprBinder, n ast.Expr) (int, error) {
	if number, ok := n.(*ast.NumberLit); ok {
		it, err := s.ordinal(number, "GROUP BY")
		if err != nil {
			return 0, err
		}
		if !s.onlyInput(it.expr) {
			return 0, s.errorf(sqlerr.MisplacedCall, n, "column %s of the select list is an aggregate and cannot be grouped by", number.Text)
		}
		return s.addKey(it.expr, it.name), nil
	}
	e, err := x.bind(n)
	if err != nil {
		return 0, err
	}
	if !s.onlyInput(e) {
		return 0, s.errorf(sqlerr.MisplacedCall, n, "an aggregate cannot be grouped by")
	}
	return s.addKey(e, s.keyName(e, n)), nil
}

// onlyInput reports whether e uses no aggregate.
func (s *selection) onlyInput(e expr.Expr) bool {
	return plan.OnlyColumns(e, func(i int) bool { return i < s.group.width })
}

// keyName is the name of the item that equals the key, or the written column.
func (s *selection) keyName(e expr.Expr, n ast.Expr) string {
	if ref, ok := n.(*ast.ColumnRef); ok {
		return ref.Parts[len(ref.Parts)-1].Name
	}
	for _, it := range s.items {
		if expr.Equal(it.expr, e) {
			return it.name
		}
	}
	return fmt.Sprintf("key%d", len(s.group.keys))
}

func (s *selection) addKey(e expr.Expr, name string) int {
	if i := slices.IndexFunc(s.group.keys, func(k expr.Expr) bool { return expr.Equal(k, e) }); i >= 0 {
		return i
	}
	s.group.keys = append(s.group.keys, e)
	s.group.names = append(s.group.names, name)
	return len(s.group.keys) - 1
}

// ordinal returns the item that a number in GROUP BY or ORDER BY means.
func (s *selection) ordinal(n *ast.NumberLit, clause string) (item, error) {
	i, err := s.position(n, clause, len(s.items))
	if err != nil {
		return item{}, err
	}
	return s.items[i], nil
}

func (b *Binder) position(n *ast.NumberLit, clause string, columns int) (int, error) {
	i, err := strconv.Atoi(n.Text)
	if err != nil || i < 1 || i > columns {
		return 0, b.errorf(sqlerr.UnknownColumn, n, "%s %s is not the position of one of the %d columns", clause, n.Text, columns)
	}
	return i - 1, nil
}

func (s *selection) bindHaving() error {
	if s.syntax.Having == nil {
		return nil
	}
	x := s.binder("HAVING")
	x.group, x.aliases = s.group, s.aliases()
	e, err := x.bind(s.syntax.Having)
	if err != nil {
		return err
	}
	s.having, err = s.condition(s.syntax.Having, e, "HAVING")
	return err
}

// orderBy binds sort keys: positions, aliases before columns, or expressions,
// which become hidden columns where the list does not have them.
func (s *selection) orderBy(items []*ast.OrderItem) error {
	x := s.binder("ORDER BY")
	x.aliases, x.aliasFirst = s.aliases(), true
	x.group, x.overs, x.named = s.group, &s.overs, s.overs.named
	if s.group == nil {
		x.group = &grouping{width: len(s.node.Schema())}
	}
	for _, o := range items {
		var column int
		if n, ok := o.Expr.(*ast.NumberLit); ok {
			var err error
			if column, err = s.position(n, "ORDER BY", len(s.items)); err != nil {
				return err
			}
		} else {
			e, err := x.bind(o.Expr)
			if err != nil {
				return err
			}
			if column, err = s.sortColumn(e, o); err != nil {
				return err
			}
		}
		s.order = append(s.order, orderKey{column, o})
	}
	if s.group == nil && len(x.group.calls) > 0 {
		return s.errorf(sqlerr.NotAggregated, items[0], "ORDER BY uses an aggregate, but the query has no GROUP BY")
	}
	return nil
}

func (s *selection) sortColumn(e expr.Expr, o *ast.OrderItem) (int, error) {
	for i, it := range s.items {
		if expr.Equal(it.expr, e) {
			return i, nil
		}
	}
	if s.syntax.Quantifier == ast.QuantDistinct {
		return 0, s.errorf(sqlerr.BadClause, o, "with DISTINCT, ORDER BY can use only what is in the select list")
	}
	s.hidden = append(s.hidden, item{expr: e, name: "sort" + strconv.Itoa(len(s.hidden)), at: o.Expr})
	return len(s.items) + len(s.hidden) - 1, nil
}

// output builds what is above FROM, WHERE and the aggregate.
func (s *selection) output(o *ast.OrderedQuery) (plan.Node, error) {
	if s.having != nil {
		s.node = &plan.Filter{Place: s.at(s.syntax.Having), Input: s.node, Cond: s.having}
	}
	s.overWindows()
	if s.qualify != nil {
		s.node = &plan.Filter{Place: s.at(s.syntax.Qualify), Input: s.node, Cond: s.qualify}
	}
	project := &plan.Project{Place: s.at(s.syntax), Input: s.node}
	for _, it := range slices.Concat(s.items, s.hidden) {
		project.Exprs, project.Names = append(project.Exprs, it.expr), append(project.Names, it.name)
	}
	s.node = project
	if s.syntax.Quantifier == ast.QuantDistinct {
		s.node = plan.Distinct(s.at(s.syntax), s.node)
	}
	if o == nil {
		return s.node, nil
	}
	node, err := s.sortAndLimit(s.node, s.order, o)
	if err != nil || len(s.hidden) == 0 {
		return node, err
	}
	visible := plan.Identity(node)
	visible.Exprs, visible.Names = visible.Exprs[:len(s.items)], visible.Names[:len(s.items)]
	return visible, nil
}
