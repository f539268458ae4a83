package failpoint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/core/failpoint"
)

// A point fires at the hit it was armed for, once, and tells who it hit.
func TestPointFiresOnceAtItsHit(t *testing.T) {
	d := failpoint.Open(t.TempDir())
	reach := func(name string, want failpoint.Action) {
		t.Helper()
		if got, err := d.Reach(name); err != nil || got != want {
			t.Fatalf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	reach("a", failpoint.None)
	if err := d.Arm("a", failpoint.Error, 3); err != nil {
		t.Fatal(err)
	}
	reach("b", failpoint.None)
	reach("a", failpoint.None)
	reach("a", failpoint.None)
	reach("a", failpoint.Error)
	reach("a", failpoint.None)
	fired, err := d.Fired()
	if err != nil || len(fired) != 1 || fired[0] != (failpoint.Fired{Name: "a", PID: os.Getpid()}) {
		t.Errorf("fired: %v, %v", fired, err)
	}
	if again, err := d.Fired(); err != nil || len(again) != 0 {
		t.Errorf("told twice: %v, %v", again, err)
	}
	if hits, err := d.Hits(); err != nil || hits["a"] != 5 || hits["b"] != 1 {
		t.Errorf("hits: %v, %v", hits, err)
	}
	if hits, err := d.HitsBy("a"); err != nil || len(hits) != 1 || hits[os.Getpid()] != 5 {
		t.Errorf("hits by process: %v, %v", hits, err)
	}
}

func TestDisarmedPointPasses(t *testing.T) {
	d := failpoint.Open(t.TempDir())
	if err := d.Arm("a", failpoint.Kill, 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Disarm("a"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := d.Reach("a"); err != nil || got != failpoint.None {
		t.Errorf("%v, %v", got, err)
	}
}

// A held point holds all who come, again and again, until it is disarmed.
func TestHeldPointHoldsAll(t *testing.T) {
	d := failpoint.Open(t.TempDir())
	if err := d.Arm("a", failpoint.Hold, 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := d.Reach("a"); err != nil || got != failpoint.Hold {
			t.Errorf("%v, %v", got, err)
		}
		if held, err := d.Held("a"); err != nil || !held {
			t.Errorf("%t, %v", held, err)
		}
	}
	if err := d.Disarm("a"); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Reach("a"); err != nil || got != failpoint.None {
		t.Errorf("%v, %v", got, err)
	}
	if fired, err := d.Fired(); err != nil || len(fired) != 0 {
		t.Errorf("fired %v, %v", fired, err)
	}
}

// Many at the same point at the same time: it is counted right and one has it.
func TestOneOfManyHasThePoint(t *testing.T) {
	d := failpoint.Open(t.TempDir())
	if err := d.Arm("a", failpoint.Delay, 1); err != nil {
		t.Fatal(err)
	}
	var fired atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := d.Reach("a"); err != nil {
				t.Error(err)
			} else if got != failpoint.None {
				fired.Add(1)
			}
		})
	}
	all.Wait()
	if fired.Load() != 1 {
		t.Errorf("fired %d times", fired.Load())
	}
	if hits, err := d.Hits(); err != nil || hits["a"] != 20 {
		t.Errorf("hits: %v, %v", hits, err)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, text := range []string{"", "explode", "kill:0", "kill:x", "none", "hol"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := failpoint.Open(dir).Reach("a"); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if _, err := failpoint.Open(filepath.Join(t.TempDir(), "gone")).Reach("a"); err == nil {
		t.Error("a directory that is not there is taken")
	}
}

// Without a directory nothing happens, with or without the tag.
func TestNoDirectoryNoPoints(t *testing.T) {
	if failpoint.Enabled {
		t.Setenv(failpoint.Variable, "")
	}
	if err := failpoint.Hit(failpoint.PublishBegin); err != nil {
		t.Error(err)
	}
}

// A program with the tag dies at its point without running another statement.
func TestKillEndsTheProcess(t *testing.T) {
	program := filepath.Join(t.TempDir(), "dies")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "failpoint", "-o", program, "./testdata/dies")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	d := failpoint.Open(dir)
	for name, want := range map[string]string{failpoint.FileCommit: "before\n", "other": "before\nafter\n"} {
		if err := d.Arm(name, failpoint.Kill, 1); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), failpoint.Variable+"="+dir)
		out, err := cmd.CombinedOutput()
		if string(out) != want {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if killed := err != nil && strings.Contains(err.Error(), "killed"); killed != (name == failpoint.FileCommit) {
			t.Errorf("%s: %v", name, err)
		}
		fired, err := d.Fired()
		if err != nil || name == failpoint.FileCommit && (len(fired) != 1 || fired[0].PID != cmd.Process.Pid) {
			t.Errorf("%s: fired %v, %v", name, fired, err)
		}
	}
}

func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range failpoint.Names() {
		if seen[n] || strings.ContainsAny(n, " ./") || n == failpoint.HitsFile {
			t.Errorf("name %q", n)
		}
		seen[n] = true
	}
}
