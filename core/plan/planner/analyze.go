package planner

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// analyzeTable makes the batch job of ANALYZE TABLE, whose row becomes statistics in
// the catalog.
func (r *run) analyzeTable(s *ast.AnalyzeTable) (*Result, error) {
	a, err := r.binder.Analyze(s)
	if err != nil {
		return nil, err
	}
	if r.settings, err = r.settings.With(config.RuntimeMode.Key(), "batch", "ANALYZE TABLE"); err != nil {
		return nil, err
	}
	result, err := r.job(s, a.Plan)
	if err != nil {
		return nil, err
	}
	for _, root := range result.Plans {
		plan.Walk(root, func(n plan.Node) {
			if scan, ok := n.(*plan.Scan); ok {
				a.Portion(scan.Known.Version, scan.Known.Bytes)
			}
		})
	}
	result.Keep = func(row []any) error {
		if !r.session.KeepStatistics(a.Table, a.Found(row)) {
			return sqlerr.New(sqlerr.CommandRejected, s.Table, "table %s was changed or dropped while it was analysed", s.Table)
		}
		return nil
	}
	return result, nil
}

// addStatistics appends what DESCRIBE EXTENDED tells beyond DESCRIBE: a column with
// what is known of each column's values, and a row for the table as a whole and for
// each partition that was analysed.
func (r *run) addStatistics(result *Result, d *ast.Describe, schema datatype.Schema) error {
	result.Schema = append(result.Schema, datatype.Field{Name: "statistics", Type: datatype.Of(datatype.Varchar)})
	spec, all, ok := r.statisticsOf(d)
	var known connector.Description
	if ok {
		var err error
		if known, err = r.describe(spec, nil); err != nil {
			return place(err, sqlerr.InvalidOption, d)
		}
	}
	found := catalog.StatisticsOf(all, known.Version)
	for i, f := range schema {
		result.Rows[i] = append(result.Rows[i], orNull(columnFacts(f, known, found)))
	}
	if !ok {
		return nil
	}
	width := len(result.Schema)
	row := func(name, text string) {
		cells := make([]any, width)
		cells[0], cells[width-1] = name, text
		result.Rows = append(result.Rows, cells)
	}
	row("(table)", tableFacts(known, found))
	for _, s := range all {
		if s.Partition != "" {
			row("("+s.Partition+")", "analyzed: "+counted(s.Rows, "row"))
		}
	}
	return nil
}

// statisticsOf is the table that DESCRIBE is about, with what ANALYZE found out; false
// for views and queries.
func (r *run) statisticsOf(d *ast.Describe) (connector.Table, []catalog.Statistics, bool) {
	switch {
	case d.File != nil:
		return catalog.FileTable(d.File.Value), nil, true
	case d.Name != nil:
		if o, err := r.session.Resolve(d.Name); err == nil {
			if t, ok := o.(*catalog.Table); ok {
				return t.Spec(), t.Statistics, true
			}
		}
	}
	return connector.Table{}, nil, false
}

// columnFacts is what files keep of a column's values, then what ANALYZE found out.
func columnFacts(f datatype.Field, known connector.Description, found *catalog.Statistics) string {
	var facts []string
	bounds := func(least, largest any) {
		if least != nil && largest != nil {
			facts = append(facts, "min "+literal(f, least), "max "+literal(f, largest))
		}
	}
	c, analyzed := catalog.ColumnStatistics{}, false
	if found != nil {
		c, analyzed = found.Columns[f.Name]
	}
	if kept, ok := known.Columns[f.Name]; ok {
		bounds(kept.Min, kept.Max)
	} else if analyzed {
		bounds(c.Min, c.Max)
	}
	if analyzed {
		facts = append(facts, "nulls "+strconv.FormatInt(c.Nulls, 10))
		if c.Distinct >= 0 {
			facts = append(facts, "distinct ~"+strconv.FormatInt(c.Distinct, 10))
		}
		if c.Length > 0 {
			facts = append(facts, "average length "+strconv.FormatFloat(c.Length, 'f', 1, 64))
		}
	}
	return strings.Join(facts, ", ")
}

func literal(f datatype.Field, v any) string {
	return expr.String(&expr.Literal{Value: v, T: f.Type})
}

// tableFacts is what the connector tells of a table now, then what ANALYZE found out.
func tableFacts(known connector.Description, found *catalog.Statistics) string {
	var facts []string
	if known.Rows >= 0 {
		facts = append(facts, counted(known.Rows, "row"))
	}
	if known.Bytes >= 0 {
		facts = append(facts, counted(known.Bytes, "byte"))
	}
	if known.Files > 0 {
		facts = append(facts, counted(known.Files, "file"))
	}
	text := strings.Join(facts, ", ")
	if found == nil {
		return text + "; never analyzed"
	}
	text += "; analyzed: " + counted(found.Rows, "row")
	if found.Version != known.Version {
		text += ", stale: the table has changed since"
	}
	return strings.TrimPrefix(text, "; ")
}

func counted(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
