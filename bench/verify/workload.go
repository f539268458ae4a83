package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tidemill/tidemill/bench/tpch"
)

// statement is something that a client asks for, with what must come of it.
type statement struct {
	name   string
	query  int    // of TPC-H; zero: the job that writes
	script string // what the client is given
	// check compares an answer's rows, or what the statement has written.
	check func(ctx context.Context, rows string) error
	// whole looks at what a statement that failed has left.
	whole func(ctx context.Context) error
}

// queries are those of TPC-H with what the embedded engine answers, which is compared
// with the official answers where the data is theirs.
func (o Options) queries(ctx context.Context) (all []statement, err error) {
	for _, n := range o.Queries {
		text, err := tpch.Query(n)
		if err != nil {
			return nil, err
		}
		script := tpch.Views(o.Data) + text + ";\n"
		want, err := o.ask(ctx, script, nil)
		if err != nil {
			return nil, err
		}
		if want.code != 0 {
			return nil, fmt.Errorf("query %d in the embedded engine: %v", n, want)
		}
		if err := o.believe(ctx, n, script, want.rows); err != nil {
			return nil, fmt.Errorf("query %d in the embedded engine: %w", n, err)
		}
		all = append(all, statement{
			name: fmt.Sprintf("q%d", n), query: n, script: script,
			check: func(_ context.Context, rows string) error { return tpch.SameAnswer(n, rows, want.rows) },
			whole: func(context.Context) error { return nil },
		})
	}
	return all, nil
}

// believe compares an answer of the embedded engine with one that it had no part in:
// the official one, or that of another parallelism with another batch size.
func (o Options) believe(ctx context.Context, n int, script, rows string) error {
	if o.Scale == 1 {
		return tpch.OfficialAnswer(n, rows)
	}
	other, err := o.ask(ctx, script, nil, "-D", "parallelism.default=1")
	if err != nil {
		return err
	}
	if other.code != 0 {
		return fmt.Errorf("at parallelism 1: %v", other)
	}
	return tpch.SameAnswer(n, rows, other.rows)
}

// overwrite is the job that writes: every run replaces all partitions of one table by
// another version, so that an old, a new and a mixed folder differ.
type overwrite struct {
	options Options
	dir     string    // the table's
	want    [2]string // what a version's folder holds
	last    int       // the version that is there; -1: none
	next    int
}

const (
	overwriteTable = `CREATE TABLE target (l_shipdate DATE, o_orderpriority VARCHAR, price DECIMAL(38, 2), quantity DECIMAL(38, 2), l_month INT)
PARTITIONED BY (l_month) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'parquet');
`
	overwriteQuery = `SELECT l_shipdate, o_orderpriority, SUM(l_extendedprice) AS price, SUM(l_quantity) + %d AS quantity,
CAST(EXTRACT(YEAR FROM l_shipdate) * 100 + EXTRACT(MONTH FROM l_shipdate) AS INT) AS l_month
FROM lineitem JOIN orders ON o_orderkey = l_orderkey WHERE l_returnflag <> 'R' GROUP BY l_shipdate, o_orderpriority`
	overwriteSums = `SELECT l_month, COUNT(*) AS n, SUM(price) AS price, SUM(quantity) AS quantity, MIN(l_shipdate) AS l, MAX(o_orderpriority) AS h
FROM %s GROUP BY l_month ORDER BY l_month;
`
)

// newOverwrite returns the job that writes to a directory.
func (o Options) newOverwrite(ctx context.Context, dir string) (*overwrite, error) {
	w := &overwrite{options: o, dir: dir, last: -1}
	for version := range w.want {
		script := tpch.Views(o.Data) + fmt.Sprintf(overwriteSums, "("+w.query(version)+")")
		a, err := o.ask(ctx, script, nil)
		if err != nil {
			return nil, err
		}
		if a.code != 0 {
			return nil, fmt.Errorf("the job that writes, in the embedded engine: %v", a)
		}
		w.want[version] = a.rows
	}
	if w.want[0] == w.want[1] {
		return nil, fmt.Errorf("both versions of the job that writes give %q", w.want[0])
	}
	return w, nil
}

func (w *overwrite) query(version int) string { return fmt.Sprintf(overwriteQuery, version) }

func (w *overwrite) table() string { return fmt.Sprintf(overwriteTable, w.dir) }

// statement is the next run.
func (w *overwrite) statement() statement {
	version := w.next
	w.next = 1 - w.next
	return statement{
		name:   "overwrite",
		script: tpch.Views(w.options.Data) + w.table() + "INSERT OVERWRITE target " + w.query(version) + ";\n",
		check: func(ctx context.Context, _ string) error {
			err := settled(ctx, func() error { return w.complete(ctx, version) })
			if err == nil {
				w.last = version
			}
			return err
		},
		whole: func(ctx context.Context) error {
			return w.either(ctx, version)
		},
	}
}

const (
	settleReads = 10
	settlePause = 500 * time.Millisecond
)

// settled tries again what need not hold at once: a statement that was repeated may live
// on without its client and publish, too, while we look. What it leaves counts.
func settled(ctx context.Context, holds func() error) error {
	for tries := 1; ; tries++ {
		err := holds()
		if err == nil || tries == settleReads {
			return err
		}
		if err := pause(ctx, settlePause); err != nil {
			return err
		}
	}
}

// complete wants the folder to hold a version and nothing else.
func (w *overwrite) complete(ctx context.Context, version int) error {
	have, err := w.read(ctx)
	if err == nil && have != version {
		err = fmt.Errorf("the folder holds version %d, version %d was written", have, version)
	}
	if err != nil {
		return err
	}
	return tidy(w.dir)
}

// either wants the folder to hold the version of before or another one, unless a journal
// tells that the next job has something to finish.
func (w *overwrite) either(ctx context.Context, version int) error {
	return settled(ctx, func() error {
		if w.underway() {
			return nil
		}
		have, err := w.read(ctx)
		if err == nil && have != w.last && have != version {
			err = fmt.Errorf("the folder holds version %d, it was %d, version %d failed", have, w.last, version)
		}
		return err
	})
}

// read returns the version that the folder holds; -1: it is empty. A mix is an error.
func (w *overwrite) read(ctx context.Context) (int, error) {
	if entries, err := os.ReadDir(w.dir); os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return -1, nil
	}
	a, err := w.options.ask(ctx, w.table()+fmt.Sprintf(overwriteSums, "target"), nil)
	if err != nil {
		return 0, err
	}
	if a.code != 0 {
		return 0, fmt.Errorf("read the folder: %v", a)
	}
	if strings.Count(a.rows, "\n") <= 1 {
		return -1, nil
	}
	for version, want := range w.want {
		if a.rows == want {
			return version, nil
		}
	}
	return 0, fmt.Errorf("the folder is a mix or wrong: %s from version 0, %s from version 1", unlike(a.rows, w.want[0]), unlike(a.rows, w.want[1]))
}

// unlike counts the lines that differ, and shows the first.
func unlike(have, want string) string {
	lines := strings.Split(want, "\n")
	n, first := 0, ""
	for i, l := range strings.Split(have, "\n") {
		if i < len(lines) && l == lines[i] {
			continue
		}
		if n++; n == 1 {
			first = l
		}
	}
	return fmt.Sprintf("%d of %d lines (as %q) differ", n, len(lines), first)
}

// underway tells that a publication has begun and is not over.
func (w *overwrite) underway() bool {
	journals, err := filepath.Glob(filepath.Join(w.dir, "_tidemill-*.json"))
	return err == nil && len(journals) > 0
}

// tidy wants nothing in a folder but files of its table and its manifest.
func tidy(dir string) error {
	return filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		base := d.Name()
		if base == "_SUCCESS" || !strings.HasPrefix(base, ".") && strings.HasSuffix(base, ".parquet") {
			return nil
		}
		return fmt.Errorf("the folder holds %s after the job", strings.TrimPrefix(name, dir))
	})
}
