package bench

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// echo is an engine that gives the same reply to everything.
func echo(t *testing.T, name, reply string) *engine {
	t.Helper()
	e, err := shell(t, `read q; echo '{"version":"1"}'; while read q; do echo '`+reply+`'; done`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.close() })
	e.name = name
	return e
}

func runTrials(t *testing.T, l layout, engines []*engine, trials ...trial) (string, error) {
	t.Helper()
	var out bytes.Buffer
	l.Out = &out
	err := contest{engines: engines, runs: 3, warm: 1, report: newReport(engines, 3, l)}.all(t.Context(), trials)
	return out.String(), err
}

func statement(text string) func(int) string { return func(int) string { return text } }

func TestContestTakesTurns(t *testing.T) {
	ours, peer := echo(t, "tidemill", `{"wall":30,"cpu":10,"rss":50,"csv":"a"}`), echo(t, "duckdb", `{"wall":10,"cpu":20,"rss":70,"csv":"a"}`)
	var asked []int
	out, err := runTrials(t, layout{Title: "title", Base: 1}, []*engine{ours, peer}, trial{
		name: "q1", text: statement("SELECT 1"),
		prepare: func(engine int) error { asked = append(asked, engine); return nil },
		check: func(engine int, ours, theirs string) error {
			if ours != "a" || theirs != "a" {
				t.Errorf("engine %d: %q beside %q", engine, theirs, ours)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) < 8 || asked[0] != 0 || asked[1] != 1 { // four rounds, and those repeated
		t.Errorf("asked %v", asked)
	}
	for _, want := range []string{"title", "3.00   0.50", "tidemill 1: geometric mean wall 30 ms, cpu 10 ms; largest RSS 50 MB", "tidemill to duckdb: geometric mean wall 3.00, cpu 0.50; worst q1 3.00"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

// A peer that fails has no figures, and ours goes on; ours that fails, a wrong
// answer and a trial that cannot be prepared fail the run, but not the next trial.
func TestContestOutlivesFailures(t *testing.T) {
	good, bad := echo(t, "tidemill", `{"wall":1,"csv":"a"}`), echo(t, "duckdb", `{"error":"out of memory"}`)
	out, err := runTrials(t, layout{Base: 1}, []*engine{good, bad}, trial{name: "q1", text: statement("x")})
	if err != nil || !strings.Contains(out, "| duckdb: out of memory") {
		t.Errorf("got %v of\n%s", err, out)
	}
	refuse := errors.New("no")
	for name, broken := range map[string]trial{
		"answer":  {name: "q1", text: statement("x"), check: func(int, string, string) error { return refuse }},
		"prepare": {name: "q1", text: statement("x"), prepare: func(int) error { return refuse }},
	} {
		out, err = runTrials(t, layout{Base: -1}, []*engine{good}, broken, trial{name: "q2", text: statement("x")})
		if !errors.Is(err, refuse) || !strings.Contains(out, "q2") {
			t.Errorf("%s: got %v of\n%s", name, err, out)
		}
	}
	if _, err = runTrials(t, layout{Base: -1}, []*engine{bad}, trial{name: "q1", text: statement("x")}); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("got %v", err)
	}
}

func TestReportOfSpeedUps(t *testing.T) {
	two, one := echo(t, "2 slots", `{"wall":10,"cpu":20}`), echo(t, "1 slot", `{"wall":15,"cpu":15}`)
	out, err := runTrials(t, layout{Base: 1, SpeedUp: true}, []*engine{two, one}, trial{name: "q1", text: statement("x")})
	if err != nil || !strings.Contains(out, "2 slots to 1 slot: geometric mean speed-up 1.50, cpu 1.33; worst q1 1.50") {
		t.Errorf("got %v of\n%s", err, out)
	}
}

func TestReportOfStorage(t *testing.T) {
	far := echo(t, "tidemill", `{"wall":20,"storage":{"Requests":7,"BytesRead":2000000}}`)
	near := echo(t, "local", `{"wall":10}`)
	out, err := runTrials(t, layout{Base: 1, Storage: true}, []*engine{far, near}, trial{name: "q1", text: statement("x")})
	if err != nil || !strings.Contains(out, "      7       2.0     2.00") || !strings.Contains(out, "; 7 requests, 2 MB read") {
		t.Errorf("got %v of\n%s", err, out)
	}
	out, err = runTrials(t, layout{Base: 1, JSON: true}, []*engine{far, near}, trial{name: "q1", text: statement("x")})
	if err != nil || !strings.Contains(out, `"read_bytes": 2000000`) || !strings.Contains(out, `"wall_geometric_mean": 2`) || strings.Contains(out, `"Base"`) {
		t.Errorf("got %v of\n%s", err, out)
	}
}

func TestReportSumsUpWhatRan(t *testing.T) {
	r := newReport([]*engine{{name: "tidemill"}, {name: "duckdb", version: "1"}}, 5, layout{Base: 1, Out: io.Discard})
	var out bytes.Buffer
	r.Out = &out
	line := func(ours float64) []Figures {
		return []Figures{{WallMillis: ours, CPUMillis: 10}, {WallMillis: 20, CPUMillis: 20}}
	}
	r.add(Line{Name: "q1", Engines: line(10)})
	r.add(Line{Name: "q2", Error: "differs"})
	r.add(Line{Name: "q3", Engines: line(40), Disturbed: 2})
	r.add(Line{Name: "q4", Engines: []Figures{{WallMillis: 1}, {Error: "out of memory"}}})
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"differs", "| out of memory\n", "2 of 5 disturbed", "geometric mean wall 1.00, cpu 0.50; worst q3 2.00"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
