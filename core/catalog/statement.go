package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// Statement returns the statement that makes an object: what SHOW CREATE shows.
func Statement(o Object) string {
	switch o := o.(type) {
	case *View:
		return fmt.Sprintf("CREATE %sVIEW %s (%s) AS %s", temporary(o), o.Path, nameList(o.Schema.Names()), ast.Format(o.Query))
	case *Table:
		return tableStatement(o)
	}
	return ""
}

func temporary(o Object) string {
	if o.IsTemporary() {
		return "TEMPORARY "
	}
	return ""
}

func nameList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = datatype.QuoteName(n)
	}
	return strings.Join(quoted, ", ")
}

func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func tableStatement(t *Table) string {
	var parts []string
	for _, c := range t.Columns {
		parts = append(parts, "  "+columnText(c))
	}
	if t.Watermark != nil {
		parts = append(parts, "  WATERMARK FOR "+datatype.QuoteName(t.Watermark.Column)+" AS "+ast.Format(t.Watermark.Expr))
	}
	if len(t.PrimaryKey) > 0 {
		parts = append(parts, "  PRIMARY KEY ("+nameList(t.PrimaryKey)+") NOT ENFORCED")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE %sTABLE %s", temporary(t), t.Path)
	if len(parts) > 0 {
		b.WriteString(" (\n" + strings.Join(parts, ",\n") + "\n)")
	}
	if t.Comment != "" {
		b.WriteString("\nCOMMENT " + text(t.Comment))
	}
	if len(t.Partitions) > 0 {
		b.WriteString("\nPARTITIONED BY (" + nameList(t.Partitions) + ")")
	}
	var options []string
	for _, k := range slices.Sorted(maps.Keys(t.Options)) {
		options = append(options, "  "+text(k)+" = "+text(t.Options[k]))
	}
	b.WriteString("\nWITH (\n" + strings.Join(options, ",\n") + "\n)")
	return b.String()
}

func columnText(c Column) string {
	s := datatype.QuoteName(c.Name)
	switch c.Kind {
	case ast.ColumnComputed:
		s += " AS " + ast.Format(c.Expr)
	case ast.ColumnMetadata:
		s += " " + c.Type.String() + " METADATA FROM " + text(c.MetadataKey)
		if c.Virtual {
			s += " VIRTUAL"
		}
	default:
		s += " " + c.Type.String()
	}
	if c.Comment != "" {
		s += " COMMENT " + text(c.Comment)
	}
	return s
}
