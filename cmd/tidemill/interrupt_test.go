package main_test

import (
	"bufio"
	"bytes"
	"syscall"
	"testing"
	"time"
)

const endless = `CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000', 'fields.id.kind' = 'sequence');`

// An endless query ends with the signal's exit code; how fast is logged, not
// asserted: machines are busy.
func TestSignalsEndAQuery(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		code   int
		sql    string
	}{
		{"SIGINT", syscall.SIGINT, 130, endless + "SELECT id FROM g"},
		{"SIGTERM", syscall.SIGTERM, 143, endless + "SELECT id FROM g"},
		{"SIGINT while grouping", syscall.SIGINT, 130, "SELECT 'begin'; " + `
			CREATE TABLE g (id BIGINT, ts AS CAST(TO_TIMESTAMP_LTZ(id, 3) AS TIMESTAMP(3)), WATERMARK FOR ts AS ts)
			WITH ('connector' = 'datagen', 'rows-per-second' = '10000', 'fields.id.kind' = 'sequence');
			SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE g, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := command(t, t.TempDir(), "sql", "-o", "csv", c.sql)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			rows := bufio.NewScanner(stdout)
			for range 3 {
				if !rows.Scan() {
					t.Fatalf("no rows: %s", stderr.String())
				}
			}
			sent := time.Now()
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			for rows.Scan() {
				continue // what was on its way
			}
			code := exitStatus(t, cmd, cmd.Wait())
			t.Logf("ended %v after the signal", time.Since(sent).Round(time.Millisecond))
			if code != c.code {
				t.Errorf("exit code %d, not %d\n%s", code, c.code, stderr.String())
			}
		})
	}
}

// A job whose rows nobody sees yet ends as well, and leaves nothing.
func TestSignalEndsAnInsert(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "job.sql", `CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000', 'number-of-rows' = '1000000');
		CREATE TABLE t (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv');
		SELECT 'begin';
		INSERT INTO t SELECT id FROM g;`)
	cmd := command(t, dir, "run", "--progress", "json", "job.sql")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rows := bufio.NewScanner(stdout)
	for rows.Scan() && !bytes.Contains(rows.Bytes(), []byte("begin")) {
		continue
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for rows.Scan() {
		continue
	}
	if code := exitStatus(t, cmd, cmd.Wait()); code != 130 {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
	last := lines(stderr.String())
	if len(last) == 0 || !bytes.Contains([]byte(last[len(last)-1]), []byte(`"state":"CANCELED"`)) {
		t.Errorf("the last line does not tell the end:\n%s", stderr.String())
	}
	if left := files(t, dir+"/out"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
