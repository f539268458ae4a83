package main_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The job: rows 0 to total-1, a thousandth of a second of event time each, counted
// and summed by key in windows of a tenth of a second.
const (
	restoreTotal  = 8000
	restoreKeys   = 7
	restoreWindow = 100
	restoreSlow   = 100    // rows a second of a job that is not to end before it is stopped
	restoreFast   = 10_000 // of one that goes on to the end
)

const windowJob = `
SET 'execution.runtime-mode' = 'streaming';
SET 'parallelism.default' = '2';
SET 'execution.checkpointing.interval' = '200 ms';
SET 'state.checkpoints.dir' = 'checkpoints';
SET 'state.checkpoints.num-retained' = '1000';
CREATE TABLE g (
  id BIGINT, k AS MOD(id, %d),
  ts AS CAST(TO_TIMESTAMP_LTZ(id, 3) AS TIMESTAMP(3)), WATERMARK FOR ts AS ts - INTERVAL '0.05' SECOND
) WITH ('connector' = 'datagen', 'rows-per-second' = '%d', 'number-of-rows' = '%d', 'fields.id.kind' = 'sequence');
CREATE TABLE counts (w TIMESTAMP(3), k BIGINT, c BIGINT, s BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = '%s');
INSERT INTO counts SELECT window_start, k, COUNT(*), SUM(id)
FROM TABLE(TUMBLE(TABLE g, DESCRIPTOR(ts), INTERVAL '0.1' SECOND)) GROUP BY window_start, window_end, k;
`

// A window job that is killed between its second and third checkpoint and started
// again from the second has counted every row exactly once in what it has
// written: no window is lost, none is there twice.
func TestKillAndRestore(t *testing.T) {
	for _, format := range []string{"csv", "parquet"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "job.sql", fmt.Sprintf(windowJob, restoreKeys, 5*restoreSlow, restoreTotal, format))
			first := command(t, dir, "run", "-D", "worker.slots=2", "--progress", "json", "job.sql")
			killAfter(t, first, dir, 2)
			atKill := len(files(t, filepath.Join(dir, "out")))
			put(t, dir, "job.sql", fmt.Sprintf(windowJob, restoreKeys, restoreFast, restoreTotal, format))
			o := tidemill(t, dir, "run", "-D", "worker.slots=2", "--progress", "json", "-s", "checkpoints", "job.sql")
			if o.code != 0 {
				t.Fatalf("exit code %d after the restart\n%s", o.code, o.stderr)
			}
			t.Logf("%d files at the kill, %d at the end; %s", atKill, len(files(t, filepath.Join(dir, "out"))), lines(o.stderr)[len(lines(o.stderr))-1])
			rows := sql(t, dir, `CREATE TABLE counts (w TIMESTAMP(3), k BIGINT, c BIGINT, s BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = '`+format+`');
				SELECT CAST(w AS STRING), k, c, s FROM counts ORDER BY w, k`)
			wantWindows(t, lines(rows)[1:])
		})
	}
}

// killAfter starts a command and kills it as soon as n checkpoints are complete.
func killAfter(t *testing.T, cmd *exec.Cmd, dir string, n int) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		complete, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "chk-*", "MANIFEST"))
		if err != nil {
			t.Fatal(err)
		}
		if len(complete) >= n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-ended
			t.Logf("killed with %d checkpoints", len(complete)) // more than n only on a busy machine
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the job ended with %d checkpoints: %v\n%s", len(complete), err, stderr.String())
		case <-look.C:
		}
	}
}

// wantWindows compares rows w,k,c,s with the closed form.
func wantWindows(t *testing.T, rows []string) {
	t.Helper()
	at := 0
	for w := 0; w < restoreTotal; w += restoreWindow {
		for k := range restoreKeys {
			count, sum := 0, 0
			for i := w; i < w+restoreWindow; i++ {
				if i%restoreKeys == k {
					count, sum = count+1, sum+i
				}
			}
			start := time.UnixMilli(int64(w)).UTC().Format("2006-01-02 15:04:05.000")
			want := fmt.Sprintf("%s,%d,%d,%d", start, k, count, sum)
			if at == len(rows) {
				t.Fatalf("%d rows; the next should be %s", len(rows), want)
			}
			if got := strings.ReplaceAll(rows[at], `"`, ""); got != want {
				t.Fatalf("row %d is %s, not %s", at, got, want)
			}
			at++
		}
	}
	if at < len(rows) {
		t.Fatalf("%d rows too many, the first is %s", len(rows)-at, rows[at])
	}
}
