package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// KernelsOptions are what Kernels measures.
type KernelsOptions struct {
	Programs
	// Dir holds the data; what is missing is made. A path.
	Dir string
	// FileSystems finds that of Dir.
	FileSystems *fs.Registry
	// Rows of the facts and, about, of lineitem; zero means 6,000,000.
	Rows int64
	// Kernels are names of those to run, or the words they begin with; empty means all.
	Kernels []string
	// Runs is how many are counted, after one that is not; zero means 5.
	Runs int
	// Parallelism of both; zero means 2.
	Parallelism int
	// JSON prints the report as JSON instead of a table.
	JSON bool
	Out  io.Writer
}

// kernel is a statement that does one thing to many rows and returns few. Both
// dialects read it, and give one answer. %d is the number of facts less one.
type kernel struct{ name, sql string }

// Groups are counted after they are made, so that no time goes into printing them;
// what is joined is multiplied across the sides, so that no side can be summed first;
// a sort is read to its last row.
var kernels = []kernel{
	{"scan q6", `SELECT SUM(l_extendedprice), SUM(l_discount), SUM(l_quantity), MAX(l_shipdate) FROM lineitem`},
	{"scan q1", `SELECT SUM(l_quantity), SUM(l_extendedprice), SUM(l_discount), SUM(l_tax), MAX(l_returnflag), MAX(l_linestatus), MAX(l_shipdate) FROM lineitem`},
	{"scan 13", `SELECT SUM(l_orderkey), SUM(l_partkey), SUM(l_suppkey), SUM(l_linenumber), SUM(l_quantity), SUM(l_extendedprice), SUM(l_discount), SUM(l_tax),
MAX(l_returnflag), MAX(l_linestatus), MAX(l_shipdate), MAX(l_commitdate), MAX(l_receiptdate) FROM lineitem`},
	{"group 1k", groups("i1k")},
	{"group 100k", groups("i100k")},
	{"group 1M", groups("i1m")},
	{"text 8", groups("t8")},
	{"text 1k", groups("t1k")},
	{"text 100k", groups("t100k")},
	{"text 1M", groups("t1m")},
	{"join", `SELECT COUNT(*), SUM(f.i1k * d.weight) FROM facts AS f JOIN dimensions AS d ON f.dimension = d.id WHERE f.id < 4000000`},
	{"self-join", `SELECT COUNT(*), SUM(a.i1k * b.i100k) FROM facts AS a JOIN facts AS b ON a.id = b.id`},
	{"diamond", `WITH t AS (SELECT i1m AS k, SUM(i100k) AS s, COUNT(*) AS n FROM facts GROUP BY i1m)
SELECT COUNT(*), SUM(a.s), SUM(b.n) FROM t AS a JOIN t AS b ON a.k = b.k WHERE a.n > 2`},
	{"sort 1 key", `SELECT id, spread, i1m FROM facts ORDER BY spread OFFSET %d`},
	{"sort 2 keys", `SELECT id, spread, i1m FROM facts ORDER BY i1k, spread OFFSET %d`},
}

func groups(column string) string {
	return `SELECT COUNT(*), SUM(n), MAX(s) FROM (SELECT ` + column + `, COUNT(*) AS n, SUM(i100k) AS s FROM facts GROUP BY ` + column + `) AS g`
}

// written is the kernel that writes a million rows.
var written = job{
	name: "write",
	columns: `l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INT, l_quantity DECIMAL(15, 2), l_extendedprice DECIMAL(15, 2), ` +
		`l_discount DECIMAL(15, 2), l_tax DECIMAL(15, 2), l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE`,
	query: `SELECT l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag, l_linestatus, ` +
		`l_shipdate, l_commitdate, l_receiptdate FROM lineitem WHERE l_orderkey <= 1000000`,
}

// makeFacts has %[1]s for the directory, %[2]d rows, and %[3]d dimensions, of which
// %[4]d is the last key. Texts have sixteen bytes.
const makeFacts = `
CREATE TABLE g (id BIGINT, i8 BIGINT, i1k BIGINT, i100k BIGINT, i1m BIGINT, dimension BIGINT, spread BIGINT)
WITH ('connector' = 'datagen', 'number-of-rows' = '%[2]d', 'rows-per-second' = '0', 'fields.id.kind' = 'sequence',
  'fields.i8.min' = '0', 'fields.i8.max' = '7', 'fields.i1k.min' = '0', 'fields.i1k.max' = '999',
  'fields.i100k.min' = '0', 'fields.i100k.max' = '99999', 'fields.i1m.min' = '0', 'fields.i1m.max' = '999999',
  'fields.dimension.min' = '0', 'fields.dimension.max' = '%[4]d', 'fields.spread.min' = '0', 'fields.spread.max' = '1000000000000000');
CREATE TABLE facts_out (id BIGINT, i1k BIGINT, i100k BIGINT, i1m BIGINT, dimension BIGINT, spread BIGINT, t8 STRING, t1k STRING, t100k STRING, t1m STRING)
WITH ('connector' = 'filesystem', 'path' = '%[1]s/facts', 'format' = 'parquet');
INSERT OVERWRITE facts_out SELECT id, i1k, i100k, i1m, dimension, spread, CONCAT('customer-', LPAD(CAST(i8 AS STRING), 7, '0')),
  CONCAT('customer-', LPAD(CAST(i1k AS STRING), 7, '0')), CONCAT('customer-', LPAD(CAST(i100k AS STRING), 7, '0')),
  CONCAT('customer-', LPAD(CAST(i1m AS STRING), 7, '0')) FROM g;
CREATE TABLE h (id BIGINT, weight BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '%[3]d', 'rows-per-second' = '0',
  'fields.id.kind' = 'sequence', 'fields.weight.min' = '0', 'fields.weight.max' = '24');
CREATE TABLE dimensions_out (id BIGINT, weight BIGINT) WITH ('connector' = 'filesystem', 'path' = '%[1]s/dimensions', 'format' = 'parquet');
INSERT OVERWRITE dimensions_out SELECT id, weight FROM h;
`

func (o KernelsOptions) complete() (KernelsOptions, error) {
	if o.Dir == "" || remote(o.Dir) {
		return o, failure.Errorf(failure.Usage, "--data %q: want a directory of this machine", o.Dir)
	}
	if o.Rows <= 0 {
		o.Rows = 6_000_000
	}
	if o.Runs <= 0 {
		o.Runs = 5
	}
	if o.Parallelism <= 0 {
		o.Parallelism = 2
	}
	for _, name := range o.Kernels {
		if !slices.ContainsFunc(kernels, func(k kernel) bool { return strings.HasPrefix(k.name, name) }) && !strings.HasPrefix(written.name, name) {
			return o, failure.Errorf(failure.Usage, "no kernel %q: they begin with scan, group, text, join, self-join, diamond, sort and write", name)
		}
	}
	var err error
	o.Dir, err = filepath.Abs(o.Dir)
	if len(o.Memory) < 2 {
		err = errors.Join(err, o.havePython())
	}
	return o, err
}

func (o KernelsOptions) wants(name string) bool {
	return len(o.Kernels) == 0 || slices.ContainsFunc(o.Kernels, func(k string) bool { return strings.HasPrefix(name, k) })
}

// Kernels runs statements that are one kernel each, over data that it makes, and
// prints wall and CPU time, peak memory and ratios. DuckDB takes turns with ours; at
// several memory limits it is ours alone, and writes nothing. Answers are compared.
func Kernels(ctx context.Context, o KernelsOptions) (err error) {
	if o, err = o.complete(); err != nil {
		return err
	}
	views, err := o.data(ctx)
	if err != nil {
		return err
	}
	contestants := o.atEach(o.Parallelism, views)
	if len(contestants) < 2 {
		contestants = []contestant{
			{name: "tidemill", slots: o.Parallelism, views: views},
			{name: "duckdb", peer: "duckdb", slots: o.Parallelism, views: views},
		}
	}
	engines, err := o.start(ctx, contestants)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := closeAll(engines); err == nil {
			err = closeErr
		}
	}()
	write := &etlRun{job: written, options: ETLOptions{Scratch: o.Dir}, engines: engines}
	defer func() { err = errors.Join(err, write.removeOutputs()) }()
	trials := o.trials()
	if o.wants(written.name) && len(o.Memory) < 2 {
		trials = append(trials, write.trial(ctx))
	}
	title := fmt.Sprintf("kernels over %d rows; %s", o.Rows, o.limits(o.Parallelism, o.Runs))
	report := newReport(engines, o.Runs, layout{Title: title, Base: len(engines) - 1, JSON: o.JSON, Out: o.Out})
	return contest{engines: engines, runs: o.Runs, warm: 1, report: report}.all(ctx, trials)
}

func (o KernelsOptions) trials() (all []trial) {
	for _, k := range kernels {
		if !o.wants(k.name) {
			continue
		}
		text := strings.ReplaceAll(k.sql, "%d", fmt.Sprint(o.Rows-1))
		all = append(all, trial{
			name:  k.name,
			text:  func(int) string { return text },
			check: func(_ int, ours, theirs string) error { return sameAnswer(ours, theirs) },
		})
	}
	return all
}

// data makes the tables unless a whole set of that size is there.
func (o KernelsOptions) data(ctx context.Context) (map[string]string, error) {
	dir := filepath.Join(o.Dir, fmt.Sprintf("rows-%d", o.Rows))
	lineitem := TPCHOptions{FileSystems: o.FileSystems, Scale: float64(o.Rows) / 6_000_000}
	if err := lineitem.generate(ctx, filepath.Join(dir, "tpch")); err != nil {
		return nil, err
	}
	views := map[string]string{
		"lineitem":   filepath.Join(dir, "tpch", "lineitem.parquet"),
		"facts":      filepath.Join(dir, "facts", "*.parquet"),
		"dimensions": filepath.Join(dir, "dimensions", "*.parquet"),
	}
	mark := filepath.Join(dir, "complete")
	if _, err := os.Stat(mark); err == nil {
		return views, nil
	}
	ours, err := o.start(ctx, []contestant{{name: "tidemill", slots: o.Parallelism}})
	if err != nil {
		return nil, err
	}
	dimensions := max(o.Rows/4, 1)
	_, err = ours[0].ask(Request{SQL: fmt.Sprintf(makeFacts, strings.ReplaceAll(dir, "'", "''"), o.Rows, dimensions, dimensions-1)})
	if err := errors.Join(err, closeAll(ours)); err != nil {
		return nil, fmt.Errorf("make %d rows: %w", o.Rows, err)
	}
	return views, os.WriteFile(mark, nil, 0o644)
}

// sameAnswer compares two CSV answers without their headers; numbers may differ
// in the ninth digit, for sums of doubles depend on their order.
func sameAnswer(ours, peers string) error {
	a, b := rows(ours), rows(peers)
	if len(a) != len(b) {
		return fmt.Errorf("%d rows, ours has %d", len(b), len(a))
	}
	for i := range a {
		x, y := strings.Split(a[i], ","), strings.Split(b[i], ",")
		if !slices.EqualFunc(x, y, sameValue) {
			return fmt.Errorf("row %d: %s, ours has %s", i+1, b[i], a[i])
		}
	}
	return nil
}

func rows(csv string) []string {
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	return lines[min(1, len(lines)):]
}
