package tidemill_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// A stream is counted in windows of event time and written to files. Row n has
// the time n milliseconds, so a window of a second holds 1,000 rows, whatever
// fails in between: that is the closed form which the tests compare with.

const streamRows = 30_000

func (e *engine) stream(rate int, more string) string {
	return fmt.Sprintf(`
		SET 'execution.runtime-mode' = 'streaming';
		SET 'execution.checkpointing.interval' = '30 ms';
		SET 'state.checkpoints.dir' = '${dir}/checkpoints';
		%s
		CREATE TABLE ticks (
			n BIGINT, k BIGINT,
			ts AS CAST(TO_TIMESTAMP_LTZ(n, 3) AS TIMESTAMP(3)),
			WATERMARK FOR ts AS ts - INTERVAL '0.2' SECOND
		) WITH ('connector' = 'datagen', 'rows-per-second' = '%d', 'number-of-rows' = '%d',
			'fields.n.kind' = 'sequence', 'fields.k.min' = '1', 'fields.k.max' = '3');
		CREATE TABLE counts (start_time TIMESTAMP(3), k BIGINT, c BIGINT)
			WITH ('connector' = 'filesystem', 'path' = '${dir}/counts', 'format' = 'parquet');
		INSERT INTO counts SELECT window_start, k, COUNT(*)
			FROM TABLE(TUMBLE(TABLE ticks, DESCRIPTOR(ts), INTERVAL '1' SECOND))
			GROUP BY window_start, window_end, k;`, more, rate, streamRows)
}

const checkStream = `
	SET 'execution.runtime-mode' = 'batch';
	SELECT COUNT(*), SUM(c), MIN(c), MAX(c) FROM (SELECT start_time, SUM(c) AS c FROM counts GROUP BY start_time)`

var streamCounts = fmt.Sprintf("%d %d 1000 1000", streamRows/1000, streamRows)

func TestStreamWithCheckpoints(t *testing.T) {
	e := open(t, nil)
	if _, err := e.execute(e.stream(100_000, "")); err != nil {
		t.Fatal(err)
	}
	e.expect(checkStream, streamCounts)
	left, err := filepath.Glob(filepath.Join(e.dir, "checkpoints", "*", "chk-*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("one checkpoint is retained, there are %v, %v", left, err)
	}
}

// startStream runs a script whose last statement is left running.
func (e *engine) startStream(script string) client.Result {
	e.t.Helper()
	script = os.Expand(script, func(string) string { return e.dir })
	statements, err := parser.ParseScript(script)
	if err != nil {
		e.t.Fatal(err)
	}
	for i, s := range statements {
		r, err := e.session.Execute(e.t.Context(), script, s)
		if err != nil {
			e.t.Fatal(err)
		}
		if i == len(statements)-1 {
			return r
		}
		if err := r.Close(); err != nil {
			e.t.Fatal(err)
		}
	}
	return nil
}

func await(t *testing.T, r client.Result, until func(client.Progress) bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !until(r.Progress()) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long: %+v", r.Progress())
		}
	}
}

func TestStreamRestoresFromDirectory(t *testing.T) {
	first := open(t, nil)
	r := first.startStream(first.stream(500, "")) // a minute: stopped long before its end
	await(t, r, func(p client.Progress) bool { return p.Checkpoints >= 3 })
	job, _ := r.Job()
	first.expect(fmt.Sprintf("STOP JOB '%v'", job))
	if _, err := read(t.Context(), r); err == nil {
		t.Fatal("the job was cancelled")
	}

	second := open(t, nil)
	second.dir = first.dir
	if _, err := second.execute(second.stream(1_000_000, "SET 'execution.state-recovery.path' = '${dir}/checkpoints';")); err != nil {
		t.Fatal(err)
	}
	second.expect(checkStream, streamCounts)
}

// A limit that is full ends the query, even where its input never does.
func TestLimitEndsAnEndlessSource(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	rows, err := e.execute(`
		CREATE TABLE endless (id BIGINT) WITH ('connector' = 'datagen', 'fields.id.kind' = 'sequence');
		SELECT id FROM endless WHERE id >= 0 LIMIT 3`)
	if err != nil || len(rows) != 3 {
		t.Fatalf("got %q, %v", rows, err)
	}
}
