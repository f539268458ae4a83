package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ETLOptions are what ETL measures.
type ETLOptions struct {
	// Data holds lineitem.parquet and orders.parquet of TPC-H.
	Data string
	// Scratch is where outputs, and the CSV and JSON inputs, are written.
	Scratch string
	// Jobs are names of jobs to run; empty means all.
	Jobs []string
	// Binary is our command; Python has the package duckdb.
	Binary, Python string
	// Runs is how many are counted; zero means 1.
	Runs int
	// Parallelism of both; zero means 2.
	Parallelism int
	// Memory, if given, is the limit of both.
	Memory string
	Out    io.Writer
}

// job writes Parquet files from a query that both dialects read.
type job struct {
	name string
	// columns of the result with their types; a partitioning column is the last.
	columns string
	query   string
	// partition is the column to partition by, if any.
	partition string
	// input is csv or json, when the job reads lineitem of such a file.
	input string
}

const lineitemColumns = `l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INT, l_quantity DECIMAL(15, 2), ` +
	`l_extendedprice DECIMAL(15, 2), l_discount DECIMAL(15, 2), l_tax DECIMAL(15, 2), l_returnflag VARCHAR, l_linestatus VARCHAR, ` +
	`l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct VARCHAR, l_shipmode VARCHAR, l_comment VARCHAR`

const month = `CAST(EXTRACT(YEAR FROM l_shipdate) * 100 + EXTRACT(MONTH FROM l_shipdate) AS INT) AS l_month`

var jobs = []job{
	{
		name: "daily", partition: "l_month",
		columns: `l_shipdate DATE, o_orderpriority VARCHAR, l_extendedprice DECIMAL(38, 2), l_quantity DECIMAL(38, 2), l_month INT`,
		query: `SELECT l_shipdate, o_orderpriority, SUM(l_extendedprice) AS l_extendedprice, SUM(l_quantity) AS l_quantity, ` + month + `
FROM lineitem JOIN orders ON o_orderkey = l_orderkey WHERE l_returnflag <> 'R' GROUP BY l_shipdate, o_orderpriority`,
	},
	{name: "months", partition: "l_month", columns: lineitemColumns + ", l_month INT", query: "SELECT *, " + month + " FROM lineitem"},
	{name: "sorted", columns: lineitemColumns, query: "SELECT * FROM lineitem ORDER BY l_shipdate, l_orderkey, l_linenumber"},
	{name: "csv", columns: lineitemColumns, query: "SELECT * FROM source_csv", input: "csv"},
	{name: "json", columns: lineitemColumns, query: "SELECT * FROM source_json", input: "json"},
}

// ETL runs jobs that write files, ours and DuckDB's in turn, each in a warm
// process of its own, has DuckDB compare counts and sums of what both wrote, and
// prints wall and CPU time and peak memory.
func ETL(ctx context.Context, o ETLOptions) (err error) {
	if o.Data == "" || o.Scratch == "" {
		return errors.New("run ETL: a directory of data and one to write to are wanted")
	}
	o.Runs, o.Parallelism = max(o.Runs, 1), max(o.Parallelism, 1)
	chosen, err := choose(o.Jobs)
	if err != nil {
		return err
	}
	if o.Scratch, err = filepath.Abs(o.Scratch); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Scratch, 0o755); err != nil {
		return err
	}
	views := map[string]string{}
	for _, t := range []string{"lineitem", "orders"} {
		views[t] = strings.TrimSuffix(o.Data, "/") + "/" + t + ".parquet"
	}
	both, err := TPCHOptions{Binary: o.Binary, Peers: []string{"duckdb"}, Python: o.Python, Parallelism: o.Parallelism, Memory: o.Memory}.engines(ctx, views)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := closeAll(both); err == nil {
			err = closeErr
		}
	}()
	fmt.Fprintf(o.Out, "%-8s | tidemill ms   cpu ms  rss MB | duckdb ms   cpu ms  rss MB | x wall  x cpu\n", "job")
	var bad []error
	for _, j := range chosen {
		mine, peers, err := o.job(ctx, both[0], both[1], j)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(o.Out, "%-8s | %v\n", j.name, err)
			bad = append(bad, fmt.Errorf("job %s: %w", j.name, err))
			continue
		}
		fmt.Fprintf(o.Out, "%-8s | %11.0f %8.0f %7.0f | %9.0f %8.0f %7.0f | %6.2f %6.2f\n", j.name,
			mine.wall, mine.cpu, mine.rss, peers.wall, peers.cpu, peers.rss, mine.wall/peers.wall, mine.cpu/peers.cpu)
	}
	return errors.Join(bad...)
}

func choose(names []string) ([]job, error) {
	if len(names) == 0 {
		return jobs, nil
	}
	var chosen []job
	for _, name := range names {
		found := false
		for _, j := range jobs {
			if j.name == name {
				chosen, found = append(chosen, j), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no ETL job %q: they are daily, months, sorted, csv and json", name)
		}
	}
	return chosen, nil
}

// job runs one job on both in turn and takes away what they wrote.
func (o ETLOptions) job(ctx context.Context, ours, duckdb *engine, j job) (mine, peers sample, err error) {
	if err := o.prepare(ours, duckdb, j); err != nil {
		return mine, peers, fmt.Errorf("prepare: %w", err)
	}
	var a, b []sample
	for range o.Runs {
		r, err := ours.ask(Request{SQL: fmt.Sprintf("INSERT OVERWRITE out_%s %s", j.name, j.query)})
		if err != nil {
			return mine, peers, err
		}
		a = append(a, sample{wall: r.WallMillis, cpu: r.CPUMillis, rss: r.RSSMegas})
		if err := os.RemoveAll(o.output("duckdb", j)); err != nil {
			return mine, peers, err
		}
		if r, err = duckdb.ask(Request{SQL: o.copy(j)}); err != nil {
			return mine, peers, err
		}
		b = append(b, sample{wall: r.WallMillis, cpu: r.CPUMillis, rss: r.RSSMegas})
		if err := o.compare(duckdb, j); err != nil {
			return mine, peers, err
		}
	}
	return median(a), median(b), errors.Join(os.RemoveAll(o.output("tidemill", j)), os.RemoveAll(o.output("duckdb", j)),
		os.RemoveAll(o.output("duckdb", j)+".parquet"))
}

func (o ETLOptions) output(engine string, j job) string {
	return filepath.Join(o.Scratch, engine+"-"+j.name)
}

// copy is DuckDB's statement of a job.
func (o ETLOptions) copy(j job) string {
	to, options := o.output("duckdb", j), "FORMAT parquet"
	if j.partition != "" {
		options += ", PARTITION_BY (" + j.partition + ")"
	} else {
		to += ".parquet"
	}
	return fmt.Sprintf("COPY (%s) TO %s (%s)", j.query, quote(to), options)
}

// prepare makes the tables of a job, and its input where that is text.
func (o ETLOptions) prepare(ours, duckdb *engine, j job) error {
	if err := os.RemoveAll(o.output("tidemill", j)); err != nil {
		return err
	}
	by := ""
	if j.partition != "" {
		by = "PARTITIONED BY (" + j.partition + ")"
	}
	text := fmt.Sprintf("CREATE TABLE out_%s (%s) %s WITH ('connector' = 'filesystem', 'path' = %s, 'format' = 'parquet')",
		j.name, j.columns, by, quote(o.output("tidemill", j)))
	if _, err := ours.ask(Request{SQL: text}); err != nil || j.input == "" {
		return err
	}
	dir := filepath.Join(o.Scratch, "lineitem-"+j.input)
	file := filepath.Join(dir, "lineitem."+j.input)
	if _, err := os.Stat(file); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		options := map[string]string{"csv": "FORMAT csv, HEADER false", "json": "FORMAT json"}[j.input]
		if _, err := duckdb.ask(Request{SQL: fmt.Sprintf("COPY lineitem TO %s (%s)", quote(file+".part"), options)}); err != nil {
			return err
		}
		if err := os.Rename(file+".part", file); err != nil {
			return err
		}
	}
	header := map[string]string{"csv": ", 'csv.header' = 'false'"}[j.input]
	text = fmt.Sprintf("CREATE TABLE source_%s (%s) WITH ('connector' = 'filesystem', 'path' = %s, 'format' = '%s'%s)",
		j.input, lineitemColumns, quote(dir), j.input, header)
	if _, err := ours.ask(Request{SQL: text}); err != nil {
		return err
	}
	var pairs []string
	for _, column := range strings.Split(strings.ReplaceAll(lineitemColumns, "(15, 2)", "(15;2)"), ", ") {
		name, kind, _ := strings.Cut(column, " ")
		pairs = append(pairs, fmt.Sprintf("'%s': '%s'", name, strings.ReplaceAll(kind, ";", ",")))
	}
	read := map[string]string{"csv": "read_csv(%s, header = false, columns = {%s})", "json": "read_json(%s, format = 'newline_delimited', columns = {%s})"}[j.input]
	_, err := duckdb.ask(Request{SQL: fmt.Sprintf("CREATE OR REPLACE VIEW source_%s AS SELECT * FROM "+read, j.input, quote(file), strings.Join(pairs, ", "))})
	return err
}

// compare has DuckDB read what both wrote.
func (o ETLOptions) compare(duckdb *engine, j job) error {
	var answers []string
	for _, name := range []string{"tidemill", "duckdb"} {
		files := o.output(name, j) + "/**/*.parquet"
		if j.partition == "" && name == "duckdb" {
			files = o.output(name, j) + ".parquet"
		}
		r, err := duckdb.ask(Request{SQL: fmt.Sprintf(`SELECT COUNT(*) AS n, SUM(l_extendedprice) AS price, SUM(l_quantity) AS quantity,
MIN(l_shipdate) AS a, MAX(l_shipdate) AS b FROM read_parquet(%s)`, quote(files))})
		if err != nil {
			return fmt.Errorf("read what %s wrote: %w", name, err)
		}
		answers = append(answers, r.CSV)
	}
	if answers[0] != answers[1] {
		return fmt.Errorf("what came differs: %q, DuckDB wrote %q", answers[0], answers[1])
	}
	return nil
}
