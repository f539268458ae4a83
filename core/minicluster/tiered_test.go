package minicluster_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/sql/parser"
)

// waitFor waits until something is so.
func (s *scaled) waitFor(what string, so func() bool) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), 10*time.Minute)
	defer stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("waited for %s in vain:\n%v", what, s.status())
		}
	}
}

// sstables are the files of state below a directory.
func sstables(dir string) (found []string) {
	_ = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".sst") {
			found = append(found, name)
		}
		return nil // what is not there, or goes meanwhile, is not found
	})
	return found
}

// A job whose state lies beside its checkpoints goes on with another parallelism, has what a
// worker that is gone left swept, and leaves nothing there.
func TestTieredState(t *testing.T) {
	var sums []string // wide rows, so that there is more than write buffers hold
	for i := range 400 {
		sums = append(sums, fmt.Sprintf("SUM(price + %d)", i))
	}
	insert := strings.Replace(windows, "SUM(price)", strings.Join(sums, " + "), 1)
	dir := t.TempDir()
	s := startScaled(t, streamSettings(t, map[string]string{
		"parallelism.default": "1", "state.backend.type": "tiered", "state.backend.tiered.dir": dir,
		"state.backend.pebble.memory.fixed-per-operator": "1 kb", "state.backend.tiered.local-size": "1 mb",
	}), fmt.Sprintf(bids, t.TempDir())+insert)
	homes := filepath.Join(dir, s.job.String(), "home")
	s.await(1)
	s.waitFor("tables", func() bool { return len(sstables(homes)) > 0 })
	left := filepath.Join(homes, "0-0123456789abcdef", "000001.sst")
	made := t.TempDir() // and moved: a sweep may come between any two steps below homes
	if err := os.WriteFile(filepath.Join(made, filepath.Base(left)), []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(made, filepath.Dir(left)); err != nil {
		t.Fatal(err)
	}
	s.waitFor("a sweep", func() bool { _, err := os.Stat(left); return os.IsNotExist(err) })
	for _, p := range []int{2, 3} {
		s.rescale(uint32(p))
		s.await(p)
	}
	s.end()
	s.compare(strings.TrimPrefix(strings.TrimSpace(insert), "INSERT INTO out"))
	s.waitFor("the end of its state", func() bool { return len(sstables(dir)) == 0 })
}

// Without checkpoints nobody would sweep.
func TestTieredStateNeedsCheckpoints(t *testing.T) {
	n := startNodes(t, map[string]string{"execution.runtime-mode": "streaming", "state.backend.type": "tiered", "state.checkpoints.dir": t.TempDir()})
	const text = "SELECT COUNT(*) FROM (VALUES (1), (2)) AS t (a)"
	statements, err := parser.ParseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.session.Execute(t.Context(), text, statements[0])
	if err == nil {
		_, err = read(t.Context(), r)
		err = errors.Join(err, r.Close())
	}
	if err == nil || !strings.Contains(err.Error(), "execution.checkpointing.interval") {
		t.Errorf("got %v", err)
	}
}
