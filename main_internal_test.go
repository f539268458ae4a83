package tidemill

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/failure"
)

// What Main makes of a program: a cluster of all roles in one process, whose workers run the
// job that the same program submits; and what command lines it refuses.

func TestProgramRoles(t *testing.T) {
	t.Setenv("TIDEMILL_HOME", t.TempDir())
	var rows atomic.Int64
	build := func(env *datastream.Env) error {
		source := datastream.FromSlice(env, "numbers", []int64{1, 2, 3, 4})
		seen := datastream.Map(source, "seen", func(n int64) (int64, error) {
			rows.Add(n)
			return n, nil
		})
		datastream.To(seen, "nowhere", datastream.Table{Options: map[string]string{"connector": "blackhole"}})
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told, tell := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := programMain(ctx, build, []string{"up", "--workers", "1", "--log", "error"}, tell)
		tell.Close()
		ended <- err
	}()
	line, err := bufio.NewReader(told).ReadString('\n')
	if err != nil {
		t.Fatal(err, <-ended)
	}
	master := strings.Fields(line)[len(strings.Fields(line))-1]
	var id bytes.Buffer
	if err := programMain(t.Context(), build, []string{"submit", "--cluster", master, "--wait"}, &id); err != nil {
		t.Error(err)
	}
	if len(strings.TrimSpace(id.String())) != 32 || rows.Load() != 10 {
		t.Errorf("job %q has seen %d", id.String(), rows.Load())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestProgramRefuses(t *testing.T) {
	t.Setenv("TIDEMILL_HOME", t.TempDir())
	t.Setenv("TIDEMILL_CLUSTER", "")
	for line, want := range map[string]string{
		"dance":                        "unknown command",
		"worker":                       "--join",
		"shuffle":                      "--join",
		"master --log loud":            "debug, info, warn or error",
		"master --listen 0.0.0.0:0":    "a certificate is needed",
		"up --workers 0":               "at least one",
		"up more":                      "is no flag",
		"submit":                       "--cluster",
		"worker --join 127.0.0.1:1 -D": "-D",
	} {
		err := programMain(t.Context(), func(*datastream.Env) error { return nil }, strings.Fields(line), io.Discard)
		if failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
