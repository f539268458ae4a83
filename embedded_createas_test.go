package tidemill_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// leftNothing checks that there is neither a table t nor anything in its directory.
func (e *engine) leftNothing() {
	e.t.Helper()
	if rows, err := e.execute("SHOW TABLES LIKE 't'"); err != nil || len(rows) > 0 {
		e.t.Errorf("a table is left: %q, %v", rows, err)
	}
	err := filepath.WalkDir(filepath.Join(e.dir, "out"), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			e.t.Errorf("%s is left", p)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		e.t.Error(err)
	}
}

const createT = "CREATE TABLE t WITH ('connector' = 'filesystem', 'path' = '${dir}/out', 'format' = 'parquet') AS "

// A CREATE TABLE AS that fails while it runs leaves no table and no files; the name can
// be used again.
func TestCreateTableAsThatFails(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	e.expect(`CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '200000', 'rows-per-second' = '0', 'fields.id.kind' = 'sequence')`)
	if _, err := e.execute(createT + "SELECT CAST(IF(id = 150000, 'x', '1') AS INT) AS v FROM g"); err == nil || !strings.Contains(err.Error(), "x") {
		t.Fatalf("%v", err)
	}
	e.leftNothing()
	e.expect(createT+"SELECT id FROM g WHERE id < 10; SELECT COUNT(*) FROM t", "10")

	if _, err := e.execute("CREATE OR REPLACE TABLE t WITH ('connector' = 'blackhole') AS SELECT 1 / (id - 150000) AS w FROM g"); err == nil {
		t.Fatal("no error")
	}
	e.expect("SELECT COUNT(id) FROM t", "10") // as it was
	if _, err := e.execute("EXPLAIN ANALYZE CREATE TABLE u WITH ('connector' = 'blackhole') AS SELECT 1 / (id - 150000) AS w FROM g"); err == nil {
		t.Fatal("no error")
	}
	e.expect("SHOW TABLES LIKE 'u'")
}

// One that is cancelled leaves nothing either, whoever cancels it, and also when nobody
// reads its result.
func TestCreateTableAsThatIsCancelled(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	e.expect(`CREATE TABLE slow (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '100000000', 'rows-per-second' = '1000')`)
	begin := func(ctx context.Context) client.Result {
		t.Helper()
		script := strings.ReplaceAll(createT+"SELECT id FROM slow", "${dir}", e.dir)
		statements, err := parser.ParseScript(script)
		if err != nil {
			t.Fatal(err)
		}
		r, err := e.session.Execute(ctx, script, statements[0])
		if err != nil {
			t.Fatal(err)
		}
		await(t, r, func(p client.Progress) bool { return p.RowsIn > 0 })
		e.expect("SHOW TABLES LIKE 't'", "t")
		return r
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := begin(ctx)
	cancel()
	// The reader's own end, or that of the job, whichever it hears of first.
	if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) && failure.Of(err) != failure.Cancelled {
		t.Errorf("%v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	e.leftNothing()

	r = begin(t.Context())
	job, _ := r.Job()
	e.expect("STOP JOB '" + job.String() + "'")
	if _, err := r.Next(t.Context()); failure.Of(err) != failure.Cancelled {
		t.Errorf("%v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	e.leftNothing()

	r = begin(t.Context()) // the end of the engine cancels it
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
