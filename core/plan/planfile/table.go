package planfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Table is what a plan depends on of a table.
type Table struct {
	// Name is a catalog path, as catalog.Path prints it, or with File the path of a file.
	Name string `json:"name"`
	File bool   `json:"file,omitempty"`
	// Read and Written say what the plan does with the table: one or both.
	Read    bool `json:"read,omitempty"`
	Written bool `json:"written,omitempty"`
	// Connector is the value of its option of that name.
	Connector string `json:"connector"`
	// Columns are all, in their order; none of a file that is only written.
	Columns []Column `json:"columns,omitempty"`
	// Watermark declares the event time: column AS expression.
	Watermark  string   `json:"watermark,omitempty"`
	PrimaryKey []string `json:"primaryKey,omitempty"`
	Partitions []string `json:"partitions,omitempty"`
	// Ends is set where the table is read and its rows come to an end.
	Ends bool `json:"ends,omitempty"`
	// Options are those that plans are made by, which hold no secrets.
	Options map[string]string `json:"options,omitempty"`
}

// Column is a column of a table.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // in the form that datatype.Parse reads
	// As is the expression of a computed column.
	As string `json:"as,omitempty"`
	// Metadata is the key of a metadata column.
	Metadata string `json:"metadata,omitempty"`
}

// Difference says in what a table is not any more what the plan was made for; empty: in
// nothing. now is the table of that name as it is.
func (t Table) Difference(now Table) string {
	if d := columns(t.Columns, now.Columns); d != "" {
		return d
	}
	for _, c := range []struct{ what, was, is string }{
		{"connector", t.Connector, now.Connector},
		{"watermark", t.Watermark, now.Watermark},
		{"primary key", strings.Join(t.PrimaryKey, ", "), strings.Join(now.PrimaryKey, ", ")},
		{"partition columns", strings.Join(t.Partitions, ", "), strings.Join(now.Partitions, ", ")},
	} {
		if c.was != c.is {
			return fmt.Sprintf("%s: %s was planned, it is %s", c.what, orNone(c.was), orNone(c.is))
		}
	}
	if t.Ends != now.Ends {
		return map[bool]string{true: "its rows came to an end, and do not any more", false: "its rows came to no end, and do now"}[t.Ends]
	}
	keys := slices.Collect(maps.Keys(t.Options))
	keys = slices.AppendSeq(keys, maps.Keys(now.Options))
	slices.Sort(keys)
	for _, k := range keys {
		if t.Options[k] != now.Options[k] {
			return fmt.Sprintf("option '%s': %s was planned, it is %s", k, orNone(t.Options[k]), orNone(now.Options[k]))
		}
	}
	return ""
}

func columns(was, is []Column) string {
	for _, c := range was {
		i := slices.IndexFunc(is, func(d Column) bool { return d.Name == c.Name })
		if i < 0 {
			return fmt.Sprintf("column %s is gone", c.Name)
		}
		if c != is[i] {
			return fmt.Sprintf("column %s: %s was planned, it is %s", c.Name, c.kind(), is[i].kind())
		}
	}
	for i, c := range is {
		if !slices.Contains(was, c) {
			return fmt.Sprintf("column %s is new", c.Name)
		}
		if c != was[i] {
			return fmt.Sprintf("column %s has another place among the columns", c.Name)
		}
	}
	return ""
}

// kind is what a column is, without its name.
func (c Column) kind() string {
	switch {
	case c.As != "":
		return c.Type + " AS " + c.As
	case c.Metadata != "":
		return c.Type + " METADATA FROM '" + c.Metadata + "'"
	}
	return c.Type
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
