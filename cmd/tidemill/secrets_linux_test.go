package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The roles that up starts are told their settings by files that nobody else reads:
// arguments are seen by everybody on the machine.
func TestSettingsAreNoArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("s3:\n  access-key: hidden-access\n  secret-key: 'hidden {secret}'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newMill(t, "--config", file, "-D", "exchange.flush=7ms")
	roles := 0
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, _ := os.ReadFile(stat) // it may have ended
		_, rest, _ := strings.Cut(string(text), ") ")
		var state string
		var parent int
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil || parent != m.cmd.Process.Pid {
			continue
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
		if err != nil {
			t.Fatal(err)
		}
		roles++
		if args := string(line); strings.Contains(args, "hidden") || strings.Contains(args, "7ms") || !strings.Contains(args, "--config") {
			t.Errorf("arguments %q", strings.Split(args, "\x00"))
		}
	}
	if roles != 4 {
		t.Errorf("%d roles", roles)
	}
	for _, name := range []string{"master", "shuffle", "worker-1", "worker-2"} {
		path := filepath.Join(m.dir, "settings", name+".yaml")
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "hidden {secret}") || !strings.Contains(string(text), "7ms") {
			t.Errorf("%s: %q, %v", path, text, err)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
	}
	if o := m.run("sql", "SELECT 1"); o.code != 0 {
		t.Error(o.stderr)
	}
}
