package main_test

import (
	"bytes"
	"syscall"
	"testing"
)

// On a terminal changes are shown as the table that they make, drawn again and again; Ctrl-C
// ends the query and leaves the last picture. Who wants changes gets them there, too.
func TestLiveTable(t *testing.T) {
	const counted = `CREATE TABLE g (id BIGINT, k INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000', 'fields.id.kind' = 'sequence',
		'fields.k.min' = '1', 'fields.k.max' = '2');`
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"table":     {counted + "SELECT k, COUNT(*) AS n FROM g GROUP BY k", []string{" k | n", " 1 | ", " 2 | ", "2 rows, ", "A\r\x1b[J k"}},
		"changelog": {"SET 'sql-client.execution.result-mode' = 'changelog';" + counted + "SELECT k, COUNT(*) AS n FROM g GROUP BY k", []string{" op     |", " -U     |", " +U     |"}},
	} {
		t.Run(name, func(t *testing.T) {
			x, theirs := openTerminal(t)
			cmd := command(t, t.TempDir(), "sql", c.sql)
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = theirs, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			theirs.Close()
			go x.watch()
			for _, text := range c.want {
				x.wait(text)
			}
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if code := exitStatus(t, cmd, cmd.Wait()); code != 130 {
				t.Errorf("exit code %d\n%s", code, stderr.String())
			}
		})
	}
}
