package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// maxShownRows is how many rows of a Values its label shows.
const maxShownRows = 3

// PrintNotes returns the tree below n, one node a line, inputs indented, with what note
// returns for each node in brackets, or nothing where that is empty.
func PrintNotes(n Node, note func(Node) string) string {
	var b strings.Builder
	printTree(&b, n, "", "", note)
	return b.String()
}

func printTree(b *strings.Builder, n Node, first, rest string, note func(Node) string) {
	b.WriteString(first + n.Label())
	if text := note(n); text != "" {
		b.WriteString("  (" + text + ")")
	}
	b.WriteByte('\n')
	inputs := n.Inputs()
	for i, in := range inputs {
		if i == len(inputs)-1 {
			printTree(b, in, rest+"└─ ", rest+"   ", note)
		} else {
			printTree(b, in, rest+"├─ ", rest+"│  ", note)
		}
	}
}

// Approximate prints a count with three digits: 12.3M.
func Approximate(n float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= unit.size {
			return strconv.FormatFloat(n/unit.size, 'g', 3, 64) + unit.name
		}
	}
	return strconv.FormatFloat(n, 'f', 0, 64)
}

// columnNames are those that are read, with the fields of rows of which some are not.
func (n *Scan) columnNames() []string {
	names := n.Columns.Names()
	for i, f := range n.Columns {
		at := n.Known.Schema.Index(f.Name)
		if f.Type.Kind == datatype.Row && at >= 0 && len(f.Type.Fields) < len(n.Known.Schema[at].Type.Fields) {
			names[i] += " (" + strings.Join(datatype.Schema(f.Type.Fields).Names(), ", ") + ")"
		}
	}
	return names
}

// spell writes a predicate's literal as SQL does, by the type of its column.
func (n *Scan) spell(column string, l any) string {
	if i := n.Known.Schema.Index(column); i >= 0 {
		return expr.String(&expr.Literal{Value: l, T: n.Known.Schema[i].Type})
	}
	return fmt.Sprint(l)
}

// Label implements Node.
func (n *Scan) Label() string {
	s := "Scan " + n.Table.Name + " [" + strings.Join(n.columnNames(), ", ") + "]"
	if n.Predicate != nil {
		s += " where " + n.Predicate.Format(n.spell)
	}
	if n.Limit > 0 {
		s += " limit " + strconv.FormatInt(n.Limit, 10)
	}
	if n.Known.TotalPartitions > 0 && n.Known.MatchPartitions >= 0 {
		s += fmt.Sprintf(" partitions %d/%d", n.Known.MatchPartitions, n.Known.TotalPartitions)
	}
	if !n.Known.Bounded {
		s += " unbounded"
	}
	if found := n.analyzed(); n.Stale && found != nil && found.Version != n.Known.Version {
		s += " statistics stale"
	}
	return s
}

// Label implements Node.
func (n *Values) Label() string {
	var shown []string
	for i, row := range n.Rows {
		if i == maxShownRows {
			shown = append(shown, "...")
			break
		}
		values := make([]string, len(row))
		for j, v := range row {
			values[j] = expr.String(v)
		}
		shown = append(shown, "("+strings.Join(values, ", ")+")")
	}
	return fmt.Sprintf("Values %d: %s", len(n.Rows), strings.Join(shown, ", "))
}

// Label implements Node.
func (n *Filter) Label() string { return "Filter " + expr.String(n.Cond) }

// Label implements Node.
func (n *Project) Label() string {
	parts := make([]string, len(n.Exprs))
	for i, e := range n.Exprs {
		parts[i] = expr.String(e)
		if c, ok := e.(*expr.Column); !ok || c.Name != n.Names[i] {
			parts[i] += " AS " + datatype.QuoteName(n.Names[i])
		}
	}
	return "Project " + strings.Join(parts, ", ")
}

// Label implements Node.
func (n *Aggregate) Label() string {
	in := n.Input.Schema()
	if len(n.Calls) == 0 {
		return "Distinct " + pick(in, n.Keys)
	}
	s := "Aggregate "
	if len(n.Keys) > 0 {
		s += "by " + pick(in, n.Keys) + ": "
	}
	return s + callList(in, n.Calls)
}

// Label implements Node.
func (n *WindowTVF) Label() string {
	s := "Window " + n.Window.Text(n.Input.Schema()[n.Time].Name)
	for i, e := range n.Partition {
		s += []string{" by ", ", "}[min(i, 1)] + expr.String(e)
	}
	return s
}

// Label implements Node.
func (n *WindowAggregate) Label() string {
	in := n.Input.Schema()
	s := "WindowAggregate " + n.Window.Text(in[n.Time].Name)
	if len(n.Keys) > 0 {
		s += " by " + pick(in, n.Keys)
	}
	return s + ": " + callList(in, n.Calls)
}

// Label implements Node.
func (n *Join) Label() string {
	left, right := n.Left.Schema(), n.Right.Schema()
	var on []string
	for i := range n.LeftKeys {
		on = append(on, datatype.QuoteName(left[n.LeftKeys[i]].Name)+" = "+datatype.QuoteName(right[n.RightKeys[i]].Name))
	}
	s := "Join " + n.Kind.String()
	if n.BuildLeft {
		s += ", left side built"
	}
	if len(on) > 0 {
		s += " on " + strings.Join(on, ", ")
	}
	if n.Residual != nil {
		s += " where " + expr.String(n.Residual)
	}
	if len(on) == 0 && n.Residual == nil {
		s += " all pairs"
	}
	return s
}

// Label implements Node.
func (n *Over) Label() string {
	in := n.Input.Schema()
	var window, calls []string
	if len(n.Partition) > 0 {
		window = append(window, "partition by "+pick(in, n.Partition))
	}
	if len(n.Order) > 0 {
		window = append(window, "order by "+OrderText(in, n.Order))
	}
	for _, c := range n.Calls {
		calls = append(calls, c.Text(in))
	}
	s := "Over " + strings.Join(append(window, ""), " ") + strings.Join(calls, ", ")
	if n.Top.Count > 0 {
		s += fmt.Sprintf(", top %d by %s()", n.Top.Count, n.Top.Function)
	}
	return s
}

// TopLabel is the label of the operator that leaves out rows as Top allows.
func (n *Over) TopLabel() string {
	in := n.Input.Schema()
	s := fmt.Sprintf("GroupTopN %d by %s()", n.Top.Count, n.Top.Function)
	if len(n.Partition) > 0 {
		s += " of " + pick(in, n.Partition)
	}
	if len(n.Order) > 0 {
		s += " in order of " + OrderText(in, n.Order)
	}
	return s
}

// Text is the call in SQL over the columns of in, its frame where it has a say.
func (c OverCall) Text(in datatype.Schema) string {
	s := c.Call.Text(in)
	if len(c.Args) == 0 && c.Function != "COUNT" {
		s = c.Function + "()"
	}
	if c.IgnoreNulls {
		s += " IGNORE NULLS"
	}
	switch c.Function {
	case "ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE", "LAG", "LEAD":
		return s
	}
	return s + " " + c.Frame.String()
}

// String is the frame in SQL, with a range's offsets as they are stored.
func (f Frame) String() string {
	unit := "ROWS"
	if f.Range {
		unit = "RANGE"
	}
	return unit + " BETWEEN " + f.From.String() + " AND " + f.To.String()
}

// String is the bound in SQL.
func (b Bound) String() string {
	switch {
	case b.Kind != ast.BoundPreceding && b.Kind != ast.BoundFollowing:
		return b.Kind.String()
	case b.Real != 0:
		return strconv.FormatFloat(b.Real, 'g', -1, 64) + " " + b.Kind.String()
	}
	offset := strconv.FormatInt(b.Offset, 10)
	if b.Months {
		offset += " MONTH"
	}
	return offset + " " + b.Kind.String()
}

// Label implements Node.
func (n *Sort) Label() string { return "Sort " + OrderText(n.Schema(), n.Keys) }

// Label implements Node.
func (n *Limit) Label() string { return "Limit" + limitText(n.Offset, n.Count) }

// Label implements Node.
func (n *TopN) Label() string {
	return "TopN" + limitText(n.Offset, n.Count) + " by " + OrderText(n.Schema(), n.Keys)
}

// Label implements Node.
func (n *Union) Label() string { return "Union" }

// Label implements Node.
func (n *Watermark) Label() string {
	s := "Watermark " + datatype.QuoteName(n.Schema()[n.Column].Name)
	if n.Processing {
		return s + " by the clock"
	}
	return s + " as " + expr.String(n.Expr)
}

// Label implements Node.
func (n *Sink) Label() string {
	s := "Insert into " + n.Table.Name
	if n.Overwrite {
		s = "Insert overwrite " + n.Table.Name
	}
	return s + " (" + strings.Join(n.Table.Schema.Names(), ", ") + ")"
}

// Text is the window over a time column in one line.
func (w Window) Text(column string) string {
	s := fmt.Sprintf("%s(%s, %s", w.Kind, datatype.QuoteName(column), Duration(w.SizeMillis))
	if w.Kind == Hop {
		s += " every " + Duration(w.SlideMillis)
	}
	if w.Kind == Cumulate {
		s += " by " + Duration(w.SlideMillis)
	}
	if w.OffsetMillis != 0 {
		s += " offset " + Duration(w.OffsetMillis)
	}
	return s + ")"
}

// Duration prints milliseconds for people: 10s, 1h0m0s.
func Duration(millis int64) string { return (time.Duration(millis) * time.Millisecond).String() }

// OrderText prints sort keys in SQL, nulls where they do not follow the default.
func OrderText(s datatype.Schema, keys []SortKey) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = datatype.QuoteName(s[k.Column].Name)
		if k.Descending {
			parts[i] += " DESC"
		}
		if k.NullsFirst == k.Descending {
			parts[i] += map[bool]string{true: " NULLS FIRST", false: " NULLS LAST"}[k.NullsFirst]
		}
	}
	return strings.Join(parts, ", ")
}

func limitText(offset, count int64) string {
	s := ""
	if count >= 0 {
		s = " " + strconv.FormatInt(count, 10)
	}
	if offset > 0 {
		s += " offset " + strconv.FormatInt(offset, 10)
	}
	return s
}

func pick(s datatype.Schema, columns []int) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = datatype.QuoteName(s[c].Name)
	}
	return strings.Join(parts, ", ")
}

func callList(in datatype.Schema, calls []Call) string {
	parts := make([]string, len(calls))
	for i, c := range calls {
		parts[i] = c.Text(in)
	}
	return strings.Join(parts, ", ")
}

// Text is the call in SQL over the columns of in.
func (c Call) Text(in datatype.Schema) string {
	args := pick(in, c.Args)
	if len(c.Args) == 0 {
		args = "*"
	}
	if c.Distinct {
		args = "DISTINCT " + args
	}
	s := c.Function + "(" + args + ")"
	if c.Filter >= 0 {
		s += " FILTER (WHERE " + datatype.QuoteName(in[c.Filter].Name) + ")"
	}
	return s
}
