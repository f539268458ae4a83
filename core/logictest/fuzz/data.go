package fuzz

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// column is one of a table.
type column struct {
	name string
	typ  typ
}

// storage is how a table lies on disk here.
type storage int

const (
	values      storage = iota // a view over VALUES
	oneFile                    // Parquet by DuckDB
	threeFiles                 // Parquet by DuckDB, cut by id
	smallGroups                // Parquet by this engine, row groups of a few rows
	arrowFile                  // Arrow by this engine
)

func (s storage) String() string {
	return [...]string{"values", "a Parquet file", "three Parquet files", "Parquet with row groups of 7", "an Arrow file"}[s]
}

// table is random rows. Its first column is unique and not null.
type table struct {
	name    string
	columns []column
	rows    [][]string // literals of both dialects, column by column
	storage storage
}

var words = []string{
	"", "a", "b", "ab", "abc", "A", "B", "Ab", "zz", "apple", "Apple pie", " a", "a ", " x y ", "10", "7", "-3", "2.5", "a%b", "a_b", "%", "_",
	"é", "Éa", "日本", "日本語 text", "x\\y", "it''s", "NULL", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "foo,bar", "foo,bar,baz", "\"q\"", "naïve",
}

// newTable makes a table with n rows; whichever columns it has, there are enough
// of the same type in others to join with.
func newTable(r *rand.Rand, name string, n int) *table {
	t := &table{name: name, columns: []column{{name: "id", typ: intType(32, 5)}}}
	for i := range 4 + r.IntN(7) {
		t.columns = append(t.columns, column{name: fmt.Sprintf("c%d", i+1), typ: columnType(r)})
	}
	makers := make([]func() string, len(t.columns))
	for i, c := range t.columns {
		makers[i] = maker(r, c.typ)
	}
	for id := range n {
		row := []string{fmt.Sprint(id)}
		for _, make := range makers[1:] {
			row = append(row, make())
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func columnType(r *rand.Rand) typ {
	switch r.IntN(14) {
	case 0:
		return intType(8, 1)
	case 1:
		return intType(16, 3)
	case 2, 3, 4:
		return intType(32, pick(r, 1, 2, 5))
	case 5, 6:
		return intType(64, pick(r, 2, 9, 12))
	case 7:
		return decType(pick(r, 5, 9, 12, 18), pick(r, 0, 1, 2, 4))
	case 8:
		return decType(pick(r, 20, 24), pick(r, 2, 5))
	case 9:
		return dblType(3)
	case 10, 11:
		return textType
	case 12:
		return pick(r, boolType, dateType)
	default:
		return pick(r, dateType, timeType)
	}
}

// maker makes the values of one column: some null, many twice, some extreme.
func maker(r *rand.Rand, t typ) func() string {
	nulls := pick(r, 0, 0, 10, 30, 100)
	if nulls == 100 && !chance(r, 10) {
		nulls = 5
	}
	distinct := pick(r, 1, 3, 8, 30, 1000)
	pool := []string{}
	return func() string {
		if chance(r, nulls) {
			return "NULL"
		}
		if len(pool) >= distinct {
			return pool[r.IntN(len(pool))]
		}
		v := literal(r, t)
		pool = append(pool, v)
		return v
	}
}

// literal is a value of the type as both dialects read it into a column of it.
func literal(r *rand.Rand, t typ) string {
	switch t.kind {
	case boolean:
		return pick(r, "TRUE", "FALSE")
	case integer:
		return number(r, t.size, 0)
	case decimal:
		return number(r, min(t.p-t.s, 10), t.s)
	case double:
		return fmt.Sprintf("%sE0", number(r, t.size, 0)+pick(r, ".0", ".25", ".5", ".75"))
	case text:
		return "'" + pick(r, words...) + "'"
	case date:
		return "DATE '" + day(r) + "'"
	default:
		return "TIMESTAMP '" + day(r) + " " + pick(r, "00:00:00", "12:34:56", "23:59:59", "06:00:00.5", "18:30:00.123456") + "'"
	}
}

// number has fewer than digits digits before the point in one of two cases.
func number(r *rand.Rand, digits, scale int) string {
	whole := r.Int64N(pow10(min(digits, pick(r, 1, digits))))
	sign := pick(r, "", "", "-")
	if scale == 0 {
		if whole == 0 {
			sign = ""
		}
		return fmt.Sprintf("%s%d", sign, whole)
	}
	part := r.Int64N(pow10(min(scale, pick(r, 1, scale))))
	if chance(r, 60) {
		part = pow10(scale) / pick[int64](r, 2, 4, 10) * pick[int64](r, 0, 1)
	}
	return fmt.Sprintf("%s%d.%0*d", sign, whole, scale, part)
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

func day(r *rand.Rand) string {
	if chance(r, 10) {
		return pick(r, "1969-12-31", "1970-01-01", "2000-02-29", "2024-02-29", "1900-01-01", "2023-12-31", "2099-06-15")
	}
	if chance(r, 20) {
		return fmt.Sprintf("2024-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28))
	}
	return fmt.Sprintf("2024-%02d-%02d", pick(r, 1, 2, 6, 12), pick(r, 1, 15, 28)) // few, so that they meet
}

// valuesText is the rows as VALUES; the first row has the types.
func (t *table) valuesText() string {
	var b strings.Builder
	b.WriteString("VALUES ")
	for i, row := range t.rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + strings.Join(row, ", ") + ")")
	}
	return b.String()
}

// duckTable makes the table in DuckDB.
func (t *table) duckTable() []string {
	var columns []string
	for _, c := range t.columns {
		columns = append(columns, c.name+" "+c.typ.sql())
	}
	out := []string{fmt.Sprintf("CREATE OR REPLACE TABLE %s (%s)", t.name, strings.Join(columns, ", "))}
	if len(t.rows) > 0 {
		out = append(out, fmt.Sprintf("INSERT INTO %s %s", t.name, t.valuesText()))
	}
	return out
}

// duckStatements make the table in DuckDB and write its files below dir.
func (t *table) duckStatements(dir string) []string {
	out := t.duckTable()
	switch t.storage {
	case values:
	case threeFiles:
		for i := range 3 {
			out = append(out, fmt.Sprintf("COPY (SELECT * FROM %s WHERE id %% 3 = %d) TO '%s/%s/%d.parquet' (FORMAT parquet)", t.name, i, dir, t.name, i))
		}
	default:
		out = append(out, fmt.Sprintf("COPY %s TO '%s/%s/0.parquet' (FORMAT parquet)", t.name, dir, t.name))
	}
	return out
}

// ourStatements make the table here, after DuckDB has written its files.
func (t *table) ourStatements(dir string) []string {
	if t.storage == values {
		return []string{t.view()}
	}
	first := t.name
	if t.storage == smallGroups || t.storage == arrowFile {
		first += "_in"
	}
	out := []string{t.create(first, fmt.Sprintf("'path' = '%s/%s', 'format' = 'parquet'", dir, t.name))}
	switch t.storage {
	case smallGroups:
		out = append(out, t.create(t.name, fmt.Sprintf("'path' = '%s/%s_out', 'format' = 'parquet', 'parquet.row-group-rows' = '7'", dir, t.name)))
	case arrowFile:
		out = append(out, t.create(t.name, fmt.Sprintf("'path' = '%s/%s_out', 'format' = 'arrow'", dir, t.name)))
	default:
		return out
	}
	return append(out, fmt.Sprintf("INSERT INTO %s SELECT * FROM %s", t.name, first))
}

func (t *table) create(name, options string) string {
	var columns []string
	for _, c := range t.columns {
		columns = append(columns, c.name+" "+c.typ.ourName())
	}
	return fmt.Sprintf("CREATE TABLE %s (%s) WITH ('connector' = 'filesystem', %s)", name, strings.Join(columns, ", "), options)
}

// view is the table as a view over VALUES, which needs no file.
func (t *table) view() string {
	var columns, names []string
	for _, c := range t.columns {
		columns = append(columns, fmt.Sprintf("CAST(%s AS %s) AS %s", c.name, c.typ.ourName(), c.name))
		names = append(names, c.name)
	}
	rows, where := t.valuesText(), ""
	if len(t.rows) == 0 {
		var row []string
		for _, c := range t.columns {
			row = append(row, fmt.Sprintf("CAST(NULL AS %s)", c.typ.ourName()))
		}
		rows, where = "VALUES ("+strings.Join(row, ", ")+")", " WHERE FALSE"
	}
	return fmt.Sprintf("CREATE TEMPORARY VIEW %s AS SELECT %s FROM (%s) AS v (%s)%s", t.name, strings.Join(columns, ", "), rows, strings.Join(names, ", "), where)
}
