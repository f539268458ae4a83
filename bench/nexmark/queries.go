package nexmark

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed queries/*.sql
var files embed.FS

const (
	// count is the number of queries; they are numbered from 0.
	count = 24
	// patterns is the number of those with MATCH_RECOGNIZE, which are numbered from 1.
	patterns = 4
)

// Names returns the names of all queries: q0 and so on, then cep1 and so on.
func Names() []string {
	var names []string
	for n := range count {
		names = append(names, fmt.Sprintf("q%d", n))
	}
	for n := range patterns {
		names = append(names, fmt.Sprintf("cep%d", n+1))
	}
	return names
}

// Query is one query.
type Query struct {
	Name string
	// SQL is the text without a closing semicolon.
	SQL string
	// Checked is the text whose rows are compared with the peer's: those of SQL, but
	// for columns in which rows of the same rank differ, and the order of equal times.
	Checked string
	// DuckDB is the text of the peer; empty where the answer depends on the clock.
	DuckDB string
	// Timed is SQL with the column Due, from which on a row could come: the time of the event
	// that made it, or for windows and patterns when the watermark may have passed their end.
	// Empty where rows are of no such time.
	Timed string
	// Files are the columns that the output is in directories by, where the query
	// writes files.
	Files []string
	// Before makes what the query needs besides the views; After removes it. What is
	// called ${dir} in them, and in DuckDB, Beside knows.
	Before, After string
}

// Due is the column of Query.Timed.
const Due = "due"

// dueTimes are what Due is in the queries' words.
var dueTimes = map[string]string{
	"q0": "`dateTime`", "q1": "`dateTime`", "q2": "`dateTime`", "q3": "GREATEST(a.`dateTime`, p.`dateTime`)",
	"q5": "b.ended" + allowed, "q7": "m.ended" + allowed, "q8": "p.ended" + allowed, "q9": "bid_time",
	"q11": "window_end" + allowed, "q12": "window_end", "q13": "b.`dateTime`", "q14": "`dateTime`", "q18": "`dateTime`",
	"q19": "`dateTime`", "q20": "b.`dateTime`", "q21": "`dateTime`", "q22": "`dateTime`",
	"q23":  "GREATEST(a.`dateTime`, b.`dateTime`, p.`dateTime`)",
	"cep1": "ended" + allowed, "cep4": "dropped" + allowed,
}

// The table aside of q13: keys from 0 with a text each.
const (
	sideRows = 10_000
	sideFile = "side.csv"
)

// Beside writes what a query reads besides the events into a directory, and returns the
// query that reads it there.
func (q Query) Beside(dir string) (Query, error) {
	if !strings.Contains(q.Before, "${dir}") {
		return q, nil
	}
	var text []byte
	for key := range sideRows {
		text = fmt.Appendf(text, "%d,value-%08x\n", key, uint32(key)*2654435761)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return q, fmt.Errorf("the table beside %s: %w", q.Name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, sideFile), text, 0o644); err != nil {
		return q, fmt.Errorf("the table beside %s: %w", q.Name, err)
	}
	for _, s := range []*string{&q.Before, &q.DuckDB} {
		*s = strings.ReplaceAll(*s, "${dir}", strings.ReplaceAll(dir, "'", "''"))
	}
	return q, nil
}

// Lookup returns the query of that name, and an error if there is none.
func Lookup(name string) (Query, error) {
	if !slices.Contains(Names(), name) {
		return Query{}, fmt.Errorf("no Nexmark query %q: they are q0 to q%d and cep1 to cep%d", name, count-1, patterns)
	}
	q := Query{Name: name, SQL: read(name + ".sql")}
	switch name {
	case "q10":
		q.Files = []string{"dt", "hm"}
	case "q12":
		q.Before = "CREATE TEMPORARY VIEW bid_now AS SELECT *, PROCTIME() AS p_time FROM bid"
		q.After = "DROP TEMPORARY VIEW IF EXISTS bid_now"
	case "q13":
		q.Before = "CREATE TEMPORARY TABLE side (key BIGINT, `value` STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '${dir}/" + sideFile + "')"
		q.After = "DROP TEMPORARY TABLE IF EXISTS side"
	}
	if due := dueTimes[name]; due != "" {
		q.Timed = strings.Replace(q.SQL, "SELECT ", "SELECT "+due+" AS "+Due+", ", 1)
	}
	if name != "q12" { // it asks the clock
		if q.DuckDB = read(name + ".duckdb.sql"); q.DuckDB == "" {
			q.DuckDB = strings.ReplaceAll(q.SQL, "`", `"`)
		}
	}
	// Bids of one time in the order of their prices, which is all that patterns read.
	q.Checked = strings.ReplaceAll(q.SQL, "ORDER BY `dateTime`\n  MEASURES", "ORDER BY `dateTime`, price\n  MEASURES")
	if name == "q19" {
		const ranks = "SELECT auction, price, nth FROM (%s) AS ranked"
		q.Checked, q.DuckDB = fmt.Sprintf(ranks, q.SQL), fmt.Sprintf(ranks, q.DuckDB)
	}
	return q, nil
}

// read is the text of a file, empty if there is none.
func read(name string) string {
	text, err := files.ReadFile("queries/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// columns of the kinds of events, in the source's names but for the time.
var columns = map[string]string{
	"person":  "id name emailAddress creditCard city state dateTime extra",
	"auction": "id itemName description initialBid reserve dateTime expires seller category extra",
	"bid":     "auction bidder price channel url dateTime extra",
}

// Kinds are the names of the views, in the order of event_type.
func Kinds() []string { return []string{"person", "auction", "bid"} }

// Options are those of the source, by their keys.
type Options map[string]string

// Source are the statements that make the source and the views over it.
func Source(o Options) []string {
	var with []string
	for key, value := range o {
		with = append(with, quote(key)+" = "+quote(value))
	}
	slices.Sort(with)
	all := []string{"CREATE TABLE events (event_type INT, " + rows() + `,
  ` + "`dateTime`" + ` AS CASE event_type WHEN 0 THEN person.` + "`dateTime`" + ` WHEN 1 THEN auction.` + "`dateTime`" + ` ELSE bid.` + "`dateTime`" + ` END,
  ` + watermark + `) WITH ('connector' = 'nexmark', ` + strings.Join(with, ", ") + ")"}
	for n, kind := range Kinds() {
		var parts []string
		for _, c := range strings.Fields(columns[kind]) {
			if c == "dateTime" {
				parts = append(parts, "`dateTime`")
				continue
			}
			parts = append(parts, kind+"."+c)
		}
		all = append(all, fmt.Sprintf("CREATE VIEW %s AS SELECT %s FROM events WHERE event_type = %d", kind, strings.Join(parts, ", "), n))
	}
	return all
}

// Events may come so late.
const (
	late      = "INTERVAL '4' SECOND"
	watermark = "WATERMARK FOR `dateTime` AS `dateTime` - " + late
	allowed   = " + " + late
)

func rows() string {
	var parts []string
	for _, kind := range Kinds() {
		parts = append(parts, kind+" ROW<"+typed(kind)+">")
	}
	return strings.Join(parts, ", ")
}

// typed are the columns of a kind with their types.
func typed(kind string) string {
	var parts []string
	for _, c := range strings.Fields(columns[kind]) {
		t := "VARCHAR"
		switch c {
		case "dateTime", "expires":
			t = "TIMESTAMP(3)"
		case "id", "initialBid", "reserve", "seller", "category", "auction", "bidder", "price":
			t = "BIGINT"
		}
		parts = append(parts, "`"+c+"` "+t)
	}
	return strings.Join(parts, ", ")
}

// Tables are the statements that make tables of the names of the views over Parquet
// files dir/KIND, to be read, or written to.
func Tables(dir string) []string {
	var all []string
	for _, kind := range Kinds() {
		all = append(all, fmt.Sprintf("CREATE TABLE %s (%s, %s) WITH ('connector' = 'filesystem', 'format' = 'parquet', 'path' = %s)",
			kind, typed(kind), watermark, quote(strings.TrimSuffix(dir, "/")+"/"+kind)))
	}
	return all
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
