package tidemill_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidemill/tidemill/core/client"
)

// A directory is a stream of the files that come into it. A job that was stopped goes on
// with those that it has not read.
func TestWatchedDirectory(t *testing.T) {
	script := `
		SET 'execution.runtime-mode' = 'streaming';
		SET 'execution.checkpointing.interval' = '30 ms';
		SET 'state.checkpoints.dir' = '${dir}/checkpoints';
		%s
		CREATE TABLE %s (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/inbox', 'format' = 'csv', 'source.monitor-interval' = '20 ms');
		CREATE TABLE outbox (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/outbox', 'format' = 'csv');
		INSERT INTO outbox SELECT id * 10 FROM %s`
	drop := func(e *engine, from, to int) { // each in a file of its own, whole when it is seen
		t.Helper()
		inbox := filepath.Join(e.dir, "inbox")
		if err := os.MkdirAll(inbox, 0o755); err != nil {
			t.Fatal(err)
		}
		for id := from; id < to; id++ {
			hidden := filepath.Join(inbox, ".writing")
			if err := os.WriteFile(hidden, []byte(fmt.Sprintln(id)), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(hidden, filepath.Join(inbox, fmt.Sprint(id, ".csv"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop := func(e *engine, r client.Result) {
		t.Helper()
		job, _ := r.Job()
		e.expect(fmt.Sprintf("STOP JOB '%v'", job))
		if _, err := read(t.Context(), r); err == nil {
			t.Fatal("the job was cancelled")
		}
	}
	first := open(t, nil)
	r := first.startStream(fmt.Sprintf(script, "", "watched", "watched"))
	drop(first, 1, 4)
	await(t, r, func(p client.Progress) bool { return p.RowsIn >= 3 })
	at := r.Progress().Checkpoints
	await(t, r, func(p client.Progress) bool { return p.Checkpoints >= at+2 })
	stop(first, r)
	drop(first, 4, 6)

	second := open(t, nil)
	second.dir = first.dir
	r = second.startStream(fmt.Sprintf(script, "SET 'execution.state-recovery.path' = '${dir}/checkpoints';", "watched", "watched"))
	drop(second, 6, 7)
	await(t, r, func(p client.Progress) bool { return p.RowsIn >= 3 })
	at = r.Progress().Checkpoints
	await(t, r, func(p client.Progress) bool { return p.Checkpoints >= at+2 })
	stop(second, r)
	second.expect("SET 'execution.runtime-mode' = 'batch'; SELECT COUNT(*), SUM(id) FROM outbox", "6 210")
}
