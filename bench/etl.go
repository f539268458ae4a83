package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// ETLOptions are what ETL measures.
type ETLOptions struct {
	Programs
	// Data holds lineitem.parquet and orders.parquet of TPC-H.
	Data string
	// Scratch is where outputs, and the CSV and JSON inputs, are written.
	Scratch string
	// Jobs are names of jobs to run; empty means all.
	Jobs []string
	// Runs is how many are counted; zero means 1.
	Runs int
	// Parallelism of both; zero means 2.
	Parallelism int
	// JSON prints the report as JSON instead of a table.
	JSON bool
	Out  io.Writer
}

// job writes Parquet files from a query that both dialects read.
type job struct {
	name string
	// columns of the result with their types; a partitioning column is the last.
	columns string
	query   string
	// partition is the column to partition by, if any.
	partition string
	// sorted are the columns that the output, one file, is in order of.
	sorted []string
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
	{
		name: "sorted", columns: lineitemColumns, sorted: []string{"l_shipdate", "l_orderkey", "l_linenumber"},
		query: "SELECT * FROM lineitem ORDER BY l_shipdate, l_orderkey, l_linenumber",
	},
	{name: "csv", columns: lineitemColumns, query: "SELECT * FROM source_csv", input: "csv"},
	{name: "json", columns: lineitemColumns, query: "SELECT * FROM source_json", input: "json"},
}

func (o ETLOptions) complete() (ETLOptions, error) {
	if o.Data == "" || o.Scratch == "" {
		return o, failure.Errorf(failure.Usage, "a directory of data and one to write to are wanted: --data, --scratch")
	}
	if len(o.Memory) > 1 {
		return o, failure.Errorf(failure.Usage, "--memory %s: ETL takes one limit", strings.Join(o.Memory, ","))
	}
	o.Runs = max(o.Runs, 1)
	if o.Parallelism <= 0 {
		o.Parallelism = 2
	}
	var err error
	o.Scratch, err = filepath.Abs(o.Scratch)
	return o, errors.Join(err, o.havePython())
}

// ETL runs jobs that write files, ours and DuckDB's in turn, each in a warm process
// of its own, and prints wall and CPU time and peak memory. Count, sums and bounds
// of what each wrote must be those of the job's query; what is to be sorted must be
// one file in order.
func ETL(ctx context.Context, o ETLOptions) (err error) {
	chosen, err := choose(o.Jobs)
	if err != nil {
		return err
	}
	if o, err = o.complete(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Scratch, 0o755); err != nil {
		return err
	}
	views := map[string]string{}
	for _, t := range []string{"lineitem", "orders"} {
		views[t] = fs.Join(o.Data, t+".parquet")
	}
	both, err := o.start(ctx, []contestant{
		{name: "tidemill", slots: o.Parallelism, views: views},
		{name: "duckdb", peer: "duckdb", slots: o.Parallelism, views: views},
	})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := closeAll(both); err == nil {
			err = closeErr
		}
	}()
	var trials []trial
	for _, j := range chosen {
		run := &etlRun{job: j, options: o, engines: both}
		defer func() { err = errors.Join(err, run.removeOutputs()) }()
		trials = append(trials, run.trial(ctx))
	}
	title := fmt.Sprintf("ETL from %s; %s", o.Data, o.limits(o.Parallelism, o.Runs))
	report := newReport(both, o.Runs, layout{Title: title, Base: 1, JSON: o.JSON, Out: o.Out})
	return contest{engines: both, runs: o.Runs, report: report}.all(ctx, trials)
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
			return nil, failure.Errorf(failure.Usage, "no ETL job %q: they are daily, months, sorted, csv and json", name)
		}
	}
	return chosen, nil
}
