package main_test

import (
	"slices"
	"strings"
	"testing"
)

// A changelog's rows say what they do, in each form of output; as a table they are the
// rows that are left.
func TestResultMode(t *testing.T) {
	const counted = generator + "SELECT count(*) AS n FROM g"
	streaming := []string{"sql", "-D", "execution.runtime-mode=streaming", "-D", "parallelism.default=1", "-D", "execution.batch-rows=4096"}
	for format, want := range map[string]string{
		"csv":    "op,n\n+I,4096\n-U,4096\n+U,5000\n",
		"ndjson": `{"op":"+I","n":4096}` + "\n" + `{"op":"-U","n":4096}` + "\n" + `{"op":"+U","n":5000}` + "\n",
		"table":  " op     | n",
	} {
		o := tidemill(t, t.TempDir(), append(slices.Clone(streaming), "-o", format, "-D", "sql-client.execution.result-mode=changelog", counted)...)
		if o.code != 0 || !strings.HasPrefix(o.stdout, want) {
			t.Errorf("%s: exit code %d\n%s%s", format, o.code, o.stdout, o.stderr)
		}
	}
	o := tidemill(t, t.TempDir(), append(streaming, "-o", "csv", counted)...)
	if want := "n\n5000\n"; o.code != 0 || o.stdout != want {
		t.Errorf("table: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}
