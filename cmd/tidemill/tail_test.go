package main_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Rows that are there are printed, then those of a file that comes, until a signal ends it:
// also where the table's script has a job, and settings of that job, which do not begin.
func TestTailFollows(t *testing.T) {
	const script = `
		SET 'execution.checkpointing.interval' = '10 ms';
		SET 'state.checkpoints.dir' = 'checkpoints';
		SET 'execution.state-recovery.path' = 'nowhere';
		SET 'execution.runtime-mode' = 'batch';
		CREATE TABLE g (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '3');
		CREATE TABLE out (n INT, s STRING) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv');
		INSERT INTO out SELECT n, 'of the job' FROM g;`
	for name, args := range map[string][]string{
		"a table": {"-f", "job.sql", "out"}, "a directory": {"out"}, "a pattern": {"out/*.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "job.sql", script)
			if err := os.Mkdir(filepath.Join(dir, "out"), 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, dir, "out/a.csv", "n,s\n1,here\n")
			cmd := command(t, dir, append([]string{"tail", "--every", "50ms", "-o", "csv"}, args...)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			printed := bufio.NewScanner(stdout)
			expect := func(want string) {
				t.Helper()
				if !printed.Scan() || printed.Text() != want {
					_ = cmd.Process.Kill()
					t.Fatalf("%q, want %q\n%s", printed.Text(), want, stderr.String())
				}
			}
			expect("n,s")
			expect("1,here")
			put(t, dir, "b.csv", "n,s\n2,came\n")
			if err := os.Rename(filepath.Join(dir, "b.csv"), filepath.Join(dir, "out", "b.csv")); err != nil {
				t.Fatal(err)
			}
			expect("2,came")
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			for printed.Scan() {
				t.Errorf("also: %s", printed.Text())
			}
			if code := exitStatus(t, cmd, cmd.Wait()); code != 130 {
				t.Errorf("exit code %d\n%s", code, stderr.String())
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 2 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// -n ends it after so many rows; what is no table is said.
func TestTailEnds(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.csv", "n\n1\n2\n3\n")
	put(t, dir, "b.sql", "CREATE TABLE b (n INT) WITH ('connector' = 'filesystem', 'path' = 'a.csv', 'format' = 'csv', 'source.monitor-interval' = '1 s');")
	for _, c := range []struct {
		args string
		code int
		text string
	}{
		{"tail -n 2 -o csv a.csv", 0, "n\n1\n2\n"},
		{"tail -n 3 -o csv -f b.sql b", 0, "n\n1\n2\n3\n"},
		{"tail nothere", 4, "nothere"},
		{"tail -f b.sql nothere", 3, "unknown table nothere"},
		{"tail -f nothere.sql b", 4, "nothere.sql"},
		{"tail a.csv -n -1", 2, "no less than 0 rows"},
		{"tail a.csv -o nothing", 2, "want one of"},
		{"tail", 2, "accepts 1 arg"},
	} {
		o := tidemill(t, dir, strings.Fields(c.args)...)
		if got := o.stdout + o.stderr; o.code != c.code || c.code == 0 && o.stdout != c.text || !strings.Contains(got, c.text) {
			t.Errorf("%s: exit code %d, want %d with %q\n%s", c.args, o.code, c.code, c.text, got)
		}
	}
}
