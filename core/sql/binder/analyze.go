package binder

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// longestBound is up to how many bytes of a text are kept as the least or largest.
const longestBound = 64

// Analysis is a bound ANALYZE TABLE. Its plan yields one row, which Found reads.
type Analysis struct {
	Table *catalog.Table
	Plan  plan.Node

	found   catalog.Statistics // without what the row tells
	columns []analyzed
	input   *plan.Project
	calls   *plan.Aggregate
}

// analyzed is a column with where the row has what; -1: nowhere.
type analyzed struct {
	name                                    string
	present, distinct, least, most, average int
}

// Analyze binds ANALYZE TABLE.
func (b *Binder) Analyze(s *ast.AnalyzeTable) (*Analysis, error) {
	o, err := b.resolveObject(s.Table)
	if err != nil {
		return nil, err
	}
	table, ok := o.(*catalog.Table)
	if !ok {
		return nil, b.errorf(sqlerr.BadClause, s.Table, "%s is a view, and has no statistics of its own", s.Table).Suggest("analyse the tables that it reads")
	}
	scan, err := b.scan(s.Table, table.Spec())
	if err != nil {
		return nil, err
	}
	if !scan.Known.Bounded {
		return nil, b.errorf(sqlerr.NotBounded, s.Table, "table %s does not end and cannot be analysed", s.Table).Suggest("bound it by its options")
	}
	columns, err := b.analyzedColumns(s, table, scan.Columns)
	if err != nil {
		return nil, err
	}
	filter, portion, err := b.portion(s.Partition, scan)
	if err != nil {
		return nil, err
	}
	a := &Analysis{
		Table: table,
		found: catalog.Statistics{Partition: portion, Version: scan.Known.Version, Bytes: scan.Known.Bytes, Columns: map[string]catalog.ColumnStatistics{}},
		input: &plan.Project{Place: b.at(s), Input: plan.Where(normalized(scan, scan), filter)},
	}
	a.calls = &plan.Aggregate{Place: b.at(s), Input: a.input}
	a.call("COUNT", -1, datatype.Of(datatype.BigInt).NotNull())
	for _, i := range columns {
		a.add(plan.Column(scan.Columns, i), scan.Columns[i])
	}
	if len(a.input.Exprs) == 0 { // COUNT(*) alone: rows without columns
		a.input.Exprs, a.input.Names = []expr.Expr{boolLiteral(true)}, []string{"row"}
	}
	a.Plan = a.calls
	return a, nil
}

// analyzedColumns are the positions of the columns that are asked for.
func (b *Binder) analyzedColumns(s *ast.AnalyzeTable, t *catalog.Table, schema datatype.Schema) ([]int, error) {
	var columns []int
	if s.AllColumns {
		for i := range schema {
			columns = append(columns, i)
		}
	}
	for _, id := range s.Columns {
		i := schema.Index(id.Name)
		switch {
		case i < 0 && t.Schema().Index(id.Name) >= 0:
			return nil, b.errorf(sqlerr.BadClause, id, "column %s is computed, only physical columns have statistics", id.Name)
		case i < 0:
			return nil, b.errorf(sqlerr.UnknownColumn, id, "unknown column %s", id.Name).DidYouMean(id.Name, schema.Names())
		case slices.Contains(columns, i):
			return nil, b.errorf(sqlerr.DuplicateName, id, "column %s is named twice", id.Name)
		}
		columns = append(columns, i)
	}
	return columns, nil
}

// portion is the condition and the name of the partitions that are asked for; a
// column without value means all of them.
func (b *Binder) portion(p *ast.PartitionSpec, scan *plan.Scan) ([]expr.Expr, string, error) {
	if p != nil && len(scan.Table.Partitions) == 0 {
		return nil, "", b.errorf(sqlerr.BadClause, p, "table %s has no partitions", scan.Table.Name)
	}
	t := &target{spec: scan.Table}
	if err := b.staticPartition(p, t); err != nil {
		return nil, "", err
	}
	var terms []expr.Expr
	var names []string
	for _, name := range scan.Table.Partitions {
		lit := t.values[name]
		if lit == nil {
			continue
		}
		i := scan.Columns.Index(name)
		value, err := b.assign(p, lit, datatype.Field{Name: name, Type: scan.Columns[i].Type.WithNull(true)}, true)
		if err != nil {
			return nil, "", err
		}
		eq, err := b.resolve("=", p, plan.Column(scan.Columns, i), value)
		if err != nil {
			return nil, "", err
		}
		terms, names = append(terms, eq), append(names, name+"="+t.fixed[name])
	}
	return terms, strings.Join(names, "/"), nil
}

// add asks for what is to be known of a column. Of collections only the nulls are
// counted.
func (a *Analysis) add(column expr.Expr, f datatype.Field) {
	count, arg := datatype.Of(datatype.BigInt).NotNull(), a.argument(column)
	c := analyzed{name: f.Name, present: a.call("COUNT", arg, count), distinct: -1, least: -1, most: -1, average: -1}
	if !f.Type.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row) {
		c.distinct = a.call(aggregate.DistinctEstimate, arg, count)
		c.least, c.most = a.call("MIN", arg, f.Type.WithNull(true)), a.call("MAX", arg, f.Type.WithNull(true))
	}
	if f.Type.IsString() || f.Type.Is(datatype.Binary, datatype.Varbinary) {
		bytes := &expr.Call{Function: "OCTET_LENGTH", Args: []expr.Expr{column}, T: datatype.Of(datatype.Int).WithNull(f.Type.Nullable)}
		c.average = a.call("AVG", a.argument(castTo(bytes, datatype.Of(datatype.Double))), datatype.Of(datatype.Double))
	}
	a.columns = append(a.columns, c)
}

func (a *Analysis) argument(e expr.Expr) int { return addColumn(a.input, e) }

// call adds an aggregate call, of rows where arg is negative, and returns where the
// row has its result.
func (a *Analysis) call(function string, arg int, t datatype.Type) int {
	c := plan.Call{Function: function, Filter: -1, Type: t, Name: function}
	if arg >= 0 {
		c.Args = []int{arg}
		c.Name += " " + a.input.Names[arg]
	}
	a.calls.Calls = append(a.calls.Calls, c)
	return len(a.calls.Calls) - 1
}

// Portion narrows the statistics to what the connector describes under the plan's
// predicate: of a partition, its files.
func (a *Analysis) Portion(version string, bytes int64) {
	a.found.Version, a.found.Bytes = version, bytes
}

// Found is what the row of the plan, in physical form, tells.
func (a *Analysis) Found(row []any) catalog.Statistics {
	found := a.found
	found.Rows = row[0].(int64)
	for _, c := range a.columns {
		s := catalog.ColumnStatistics{Nulls: found.Rows - row[c.present].(int64), Distinct: -1}
		if c.distinct >= 0 {
			s.Distinct = min(row[c.distinct].(int64), row[c.present].(int64))
			s.Min, s.Max = short(row[c.least]), short(row[c.most])
		}
		if c.average >= 0 && row[c.average] != nil {
			s.Length = row[c.average].(float64)
		}
		found.Columns[c.name] = s
	}
	return found
}

// short forgets a bound that is long.
func short(v any) any {
	switch v := v.(type) {
	case string:
		if len(v) > longestBound {
			return nil
		}
	case []byte:
		if len(v) > longestBound {
			return nil
		}
	}
	return v
}
