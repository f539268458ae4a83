package main_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/bench"

	"github.com/tidemill/tidemill/bench/tpch/gen"
	"github.com/tidemill/tidemill/fs/local"
)

// The benchmark as users run it, with processes that serve it; and that no answer
// of ours at one parallelism or memory limit differs from another.
func TestBenchTPCH(t *testing.T) {
	dir := t.TempDir()
	disk, err := local.New(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := gen.Write(t.Context(), disk, filepath.Join(dir, "data"), gen.Options{Scale: 0.001, TextBytes: 1 << 16}); err != nil {
		t.Fatal(err)
	}
	o := tidemill(t, dir, "bench", "tpch", "--data", "data", "--queries", "1,6", "--runs", "1", "--parallelism", "1,2", "--format", "json")
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s", o.code, o.stderr)
	}
	var report struct {
		Trials []struct {
			Name    string
			Engines []struct {
				Engine string
				Wall   float64 `json:"wall_ms"`
				RSS    float64 `json:"rss_mb"`
			}
		}
		Ratios []struct{ Engine, Base string }
	}
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Trials) != 2 || report.Trials[1].Name != "q6" || len(report.Ratios) != 1 || report.Ratios[0].Base != "1 slot" {
		t.Errorf("got %s", o.stdout)
	}
	for _, trial := range report.Trials {
		for _, e := range trial.Engines {
			if e.Wall <= 0 || e.RSS <= 0 {
				t.Errorf("%s of %s took no time or no memory", trial.Name, e.Engine)
			}
		}
	}
	o = tidemill(t, dir, "bench", "tpch", "--data", "data", "--local", "data", "--queries", "3", "--runs", "1")
	if o.code != 0 || !strings.Contains(o.stdout, "tidemill to local: geometric mean wall") {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	o = tidemill(t, dir, "bench", "tpch", "--data", "data", "--queries", "1,3", "--runs", "1", "--cluster")
	if o.code != 0 || !strings.Contains(o.stdout, "cluster to embedded: geometric mean wall") {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	o = tidemill(t, dir, "bench", "tpch", "--data", "data", "--queries", "9", "--runs", "1", "--memory", "64MB,none")
	if o.code != 0 || !strings.Contains(o.stdout, "64MB to no limit") {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

func TestBenchUsage(t *testing.T) {
	dir := t.TempDir()
	for args, want := range map[string]string{
		"bench tpch":                                      "--scale makes one",
		"bench tpch --data d --format xml":                "want text or json",
		"bench tpch --data d --cluster=nowhere":           "data directory of tidemill up",
		"bench tpch --data d --cluster=. --workers 2":     "of a cluster that is started",
		"bench tpch --data d --cluster --memory 1GB":      "limits one process",
		"bench tpch --data d --cluster --parallelism 1,2": "one at a time",
		"bench tpch --scale -1":                           "want more than 0",
		"bench tpch --scale 5000 --data d":                "want 0.001 to 1000",
		"bench tpch --data d --peer duckdb":               "make bench-peers",
		"bench etl --data d --scratch s":                  "make bench-peers",
		"bench kernels --data d":                          "make bench-peers",
		"bench kernels --data d --kernels x":              `no kernel "x"`,
		"bench shuffle --format xml":                      "want text or json",
		"bench shuffle --streams 0":                       "want 1 to 64",
	} {
		if o := tidemill(t, dir, strings.Fields(args)...); o.code != 2 || !strings.Contains(o.stderr, want) {
			t.Errorf("tidemill %s: exit code %d, want 2 with %q\n%s", args, o.code, want, o.stderr)
		}
	}
}

func TestBenchShuffle(t *testing.T) {
	o := tidemill(t, t.TempDir(), "bench", "shuffle", "--megabytes", "1", "--rows", "512", "--streams", "2", "--runs", "1", "--open", "5", "--pings", "5")
	if o.code != 0 || !strings.Contains(o.stdout, "frames, 2 hops") || !strings.Contains(o.stdout, "tidemill") {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// The streaming benchmark as users run it, over generated events and over files that it
// writes; and a query that there is not.
func TestBenchNexmark(t *testing.T) {
	dir := t.TempDir()
	for _, more := range [][]string{nil, {"--data", "events"}} {
		args := append([]string{"bench", "nexmark", "--events", "5000", "--queries", "q0,q2,q10", "--runs", "1", "--format", "json"}, more...)
		o := tidemill(t, dir, args...)
		if o.code != 0 {
			t.Fatalf("exit code %d\n%s", o.code, o.stderr)
		}
		var report struct {
			Trials []struct {
				Name    string
				Engines []struct {
					Rate float64 `json:"events_per_core_second"`
				}
			}
		}
		if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
			t.Fatal(err)
		}
		if len(report.Trials) != 3 || report.Trials[2].Name != "q10" || report.Trials[0].Engines[0].Rate <= 0 {
			t.Errorf("got %s", o.stdout)
		}
	}
	o := tidemill(t, dir, strings.Fields("bench nexmark --latency 200ms --queries q0,q4 --format json")...)
	var latencies []bench.Latency
	if err := json.Unmarshal([]byte(o.stdout), &latencies); err != nil || o.code != 0 {
		t.Fatalf("exit code %d, %v\n%s", o.code, err, o.stderr)
	}
	if len(latencies) != 1 || latencies[0].Rows == 0 || latencies[0].Sustained < 2*latencies[0].Rate || latencies[0].P99Millis < latencies[0].P50Millis {
		t.Errorf("got %+v", latencies)
	}
	// What is said of the peer comes to its processes: here to one that ends at once.
	home := filepath.Join(dir, "flink")
	for name, text := range map[string]string{
		"conf/config.yaml":  "all: --add-exports=x\n",
		"bin/jobmanager.sh": "#!/bin/sh\ncp \"$FLINK_CONF_DIR/config.yaml\" \"$FLINK_HOME/seen\"\n",
	} {
		path := filepath.Join(home, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	o = tidemill(t, dir, strings.Fields("bench nexmark --peer flink --flink flink --peer-set table.x=a,b=c --queries q0 --events 1000")...)
	seen, err := os.ReadFile(filepath.Join(home, "seen"))
	if err != nil || o.code == 0 || !strings.Contains(string(seen), "\ntable.x: a,b=c\n") {
		t.Errorf("exit code %d, %v: got %s\n%s", o.code, err, seen, o.stderr)
	}
	for args, want := range map[string]string{
		"bench nexmark --latency 1s --check":                       "go each alone",
		"bench nexmark --peer spark":                               "--peer is flink",
		"bench nexmark --peer flink --flink nowhere --queries q0":  "make bench-flink",
		"bench nexmark --queries q24":                              `no Nexmark query "q24"`,
		"bench nexmark --events -1":                                "want more than 0",
		"bench nexmark --check":                                    "make bench-peers",
		"bench nexmark --data events --events 6000 --queries q0":   "the directory is not empty",
		"bench nexmark --data events --events 5000 --format table": "want text or json",
	} {
		if o := tidemill(t, dir, strings.Fields(args)...); o.code != 2 || !strings.Contains(o.stderr, want) {
			t.Errorf("tidemill %s: exit code %d, want 2 with %q\n%s", args, o.code, want, o.stderr)
		}
	}
}
