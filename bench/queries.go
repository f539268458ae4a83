package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Options of Queries.
type Options struct {
	// Dir holds the data; made when it is not there yet.
	Dir string
	// Rows of the fact table; zero means 6,000,000.
	Rows int64
	// Binary is our command.
	Binary string
	// Peer is DuckDB's command line; empty runs ours alone.
	Peer string
	// Runs is how many are counted, after one that is not; zero means 5.
	Runs int
	// Threads is the parallelism of both; zero means 2.
	Threads int
	Out     io.Writer
}

func (o Options) complete() Options {
	if o.Rows <= 0 {
		o.Rows = 6_000_000
	}
	if o.Runs <= 0 {
		o.Runs = 5
	}
	if o.Threads <= 0 {
		o.Threads = 2
	}
	return o
}

// query is one statement; %[1]s and %[2]s are the files of facts and dimensions.
// Both dialects give the same answer to the same text.
type query struct{ name, sql string }

var queries = []query{
	{"scan", `SELECT COUNT(*), MAX(id), SUM(quantity), MIN(price), MAX(price) FROM %[1]s`},
	{"filter", `SELECT COUNT(*), SUM(price) FROM %[1]s WHERE quantity < 0.25 AND k1000 BETWEEN 100 AND 299`},
	{"group 1k", `SELECT COUNT(*), SUM(n), MAX(s) FROM (SELECT k1000, COUNT(*) AS n, SUM(quantity) AS s FROM %[1]s GROUP BY k1000) AS g`},
	{"group 100k", `SELECT COUNT(*), SUM(n), MAX(s) FROM (SELECT k100000, COUNT(*) AS n, SUM(quantity) AS s FROM %[1]s GROUP BY k100000) AS g`},
	{"group 1M", `SELECT COUNT(*), SUM(n), MAX(s) FROM (SELECT k1000000, COUNT(*) AS n, SUM(quantity) AS s FROM %[1]s GROUP BY k1000000) AS g`},
	{"group text", `SELECT COUNT(*), SUM(n), MAX(s) FROM (SELECT tag, COUNT(*) AS n, SUM(quantity) AS s FROM %[1]s GROUP BY tag) AS g`},
	{"join", `SELECT COUNT(*), SUM(c), MAX(s) FROM (SELECT d.region, COUNT(*) AS c, SUM(f.quantity) AS s FROM %[1]s AS f JOIN %[2]s AS d ON f.dimension = d.id GROUP BY d.region) AS g`},
	{"top 10", `SELECT id, quantity FROM %[1]s ORDER BY quantity DESC, id LIMIT 10`},
}

const generate = `
CREATE TABLE g (id BIGINT, k1000 INT, k100000 INT, k1000000 INT, dimension BIGINT, quantity DOUBLE, cents INT, tag INT)
WITH ('connector' = 'datagen', 'number-of-rows' = '%[2]d', 'rows-per-second' = '0', 'fields.id.kind' = 'sequence',
  'fields.k1000.min' = '0', 'fields.k1000.max' = '999', 'fields.k100000.min' = '0', 'fields.k100000.max' = '99999',
  'fields.k1000000.min' = '0', 'fields.k1000000.max' = '999999', 'fields.dimension.min' = '0', 'fields.dimension.max' = '%[3]d',
  'fields.cents.min' = '1', 'fields.cents.max' = '10000000', 'fields.tag.min' = '0', 'fields.tag.max' = '9999');
CREATE TABLE facts (id BIGINT, k1000 INT, k100000 INT, k1000000 INT, dimension BIGINT, quantity DOUBLE, price DECIMAL(12, 2), tag STRING)
WITH ('connector' = 'filesystem', 'path' = '%[1]s/facts', 'format' = 'parquet');
INSERT OVERWRITE facts
SELECT id, k1000, k100000, k1000000, dimension, quantity, CAST(cents AS DECIMAL(12, 2)) / 100, CONCAT('customer-', CAST(tag AS STRING)) FROM g;
CREATE TABLE h (id BIGINT, region INT) WITH ('connector' = 'datagen', 'number-of-rows' = '%[4]d', 'rows-per-second' = '0',
  'fields.id.kind' = 'sequence', 'fields.region.min' = '0', 'fields.region.max' = '24');
CREATE TABLE dimensions (id BIGINT, region INT, name STRING) WITH ('connector' = 'filesystem', 'path' = '%[1]s/dimensions', 'format' = 'parquet');
INSERT OVERWRITE dimensions SELECT id, region, CONCAT('name-', CAST(id AS STRING)) FROM h;
`

// Queries runs every statement and prints a table of times.
func Queries(ctx context.Context, o Options) error {
	o = o.complete()
	if err := o.data(ctx); err != nil {
		return err
	}
	facts, dimensions := "'"+o.Dir+"/facts/*.parquet'", "'"+o.Dir+"/dimensions/*.parquet'"
	o.header()
	for _, q := range queries {
		text := fmt.Sprintf(q.sql+"%.0[2]s", facts, dimensions)
		if err := o.one(ctx, q.name, text); err != nil {
			return fmt.Errorf("query %s: %w", q.name, err)
		}
	}
	return nil
}

func (o Options) header() {
	fmt.Fprintf(o.Out, "%-12s %10s %10s %10s", "query", "wall ms", "cpu ms", "rss MB")
	if o.Peer != "" {
		fmt.Fprintf(o.Out, " %12s %12s %12s %8s", "peer wall", "peer cpu", "peer rss", "ratio")
	}
	fmt.Fprintln(o.Out)
}

// data makes the tables unless a complete set of that size is there.
func (o Options) data(ctx context.Context) error {
	mark := filepath.Join(o.Dir, fmt.Sprintf("complete-%d", o.Rows))
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	dimensions := max(o.Rows/4, 1)
	text := fmt.Sprintf(generate, o.Dir, o.Rows, dimensions-1, dimensions)
	if _, err := (command{args: []string{o.Binary, "sql", text}}).run(ctx); err != nil {
		return fmt.Errorf("generate %d rows: %w", o.Rows, err)
	}
	return os.WriteFile(mark, nil, 0o644)
}

func (o Options) one(ctx context.Context, name, text string) error {
	ours := command{args: []string{o.Binary, "sql", "-D", fmt.Sprintf("parallelism.default=%d", o.Threads), "-o", "csv", text}}
	theirs := command{args: []string{o.Peer, "-csv", "-c", fmt.Sprintf("SET threads=%d;", o.Threads), "-c", text}}
	var mine, peer []sample
	for i := range o.Runs + 1 {
		a, err := ours.run(ctx)
		if err != nil {
			return err
		}
		if i > 0 {
			mine = append(mine, a)
		}
		if o.Peer == "" {
			continue
		}
		b, err := theirs.run(ctx)
		if err != nil {
			return err
		}
		if err := sameAnswer(a.output, b.output); err != nil {
			return err
		}
		if i > 0 {
			peer = append(peer, b)
		}
	}
	m := median(mine)
	fmt.Fprintf(o.Out, "%-12s %10.0f %10.0f %10.0f", name, m.wall, m.cpu, m.rss)
	if o.Peer != "" {
		p := median(peer)
		fmt.Fprintf(o.Out, " %12.0f %12.0f %12.0f %8.2f", p.wall, p.cpu, p.rss, m.wall/p.wall)
	}
	fmt.Fprintln(o.Out)
	return nil
}

// sameAnswer compares two CSV answers without their headers; numbers may differ
// in the ninth digit, for sums of doubles depend on their order.
func sameAnswer(ours, peers string) error {
	a, b := rows(ours), rows(peers)
	if len(a) != len(b) {
		return fmt.Errorf("%d rows, the peer has %d", len(a), len(b))
	}
	for i := range a {
		x, y := strings.Split(a[i], ","), strings.Split(b[i], ",")
		if len(x) != len(y) {
			return fmt.Errorf("row %d: %s, the peer has %s", i+1, a[i], b[i])
		}
		for k := range x {
			if !sameValue(x[k], y[k]) {
				return fmt.Errorf("row %d: %s, the peer has %s", i+1, a[i], b[i])
			}
		}
	}
	return nil
}

func rows(csv string) []string {
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	return lines[min(1, len(lines)):]
}
