package main_test

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A cluster's doors, as users meet them: who is let in, and what the others are told.

func TestDoors(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TIDEMILL_HOME", filepath.Join(dir, "home"))
	master, _ := serving(t, dir, "master", "--listen", "127.0.0.1:0", "--data-dir", "m")
	home := filepath.Join(dir, "home")
	with := "--cluster " + master + " --tls-dir " + filepath.Join(home, "tls")
	put(t, dir, "open.join", "tmj_x")
	if err := os.Chmod(filepath.Join(dir, "open.join"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"nodes " + with + " --token-file " + filepath.Join(home, "token"), 0, ""},
		{"token other", 0, ""},
		{"nodes " + with + " --token-file other", 6, "the token is not this cluster's"},
		{"cert foreign", 0, ""},
		{"nodes --cluster " + master + " --tls-dir foreign --token-file " + filepath.Join(home, "token"), 6, "the other side is not of this cluster"},
		{"worker --join " + master + " --tls-dir foreign --data-dir w", 6, "the other side is not of this cluster"},
		{"worker --join " + master + " --listen 0.0.0.0:0 --data-dir w", 2, "has not TLS and a token"},
		{"worker --join " + master + " --listen 0.0.0.0:0 --token-file other --data-dir w", 2, "has not TLS: "},
		{"worker --join " + master + " --http 0.0.0.0:0 --data-dir w", 2, "listen at 127.0.0.1 instead"},
		{"worker --data-dir w", 2, "--join HOST:PORT"},
		{"token --join worker", 2, "tidemill token --join ROLE FILE"},
		{"token --join cook w.join", 2, `role "cook" is none of master, worker, shuffle, client`},
		{"token --join worker --tls-dir none w.join", 4, "the cluster's authority"},
		{"token --join worker --for 0s late.join", 0, ""},
		{"token --join worker w.join", 0, ""},
		{"worker --join " + master + " --join-token late.join --data-dir w", 6, "the join token expired"},
		{"worker --join " + master + " --join-token open.join --data-dir w", 6, "chmod 600"},
		{"worker --join " + master + " --join-token other --data-dir w", 2, "it is not a join token"},
		{"worker --join " + master + " --join-token none --data-dir w", 4, "no such file"},
		{"worker --join " + master + " --join-token w.join --tls-dir foreign --data-dir w", 2, "give it, or these"},
		{"shuffle --join " + master + " --join-token w.join --data-dir s", 6, "is of role worker, not shuffle"},
	} {
		o := tidemill(t, dir, strings.Fields(c.args)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) {
			t.Errorf("tidemill %s: exit code %d, want %d with %q\n%s", c.args, o.code, c.code, c.want, o.stderr)
		}
	}
	// With the join token, and nothing else of the cluster's, a worker comes in; and again
	// with what it was given.
	t.Setenv("TIDEMILL_HOME", filepath.Join(dir, "elsewhere"))
	for range 2 {
		_, stop := serving(t, dir, "worker", "--join", master, "--join-token", "w.join", "--data-dir", "w")
		stop()
		if err := os.WriteFile(filepath.Join(dir, "w.join"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serving starts a role until the test ends or stop is called, and returns the address
// where it serves.
func serving(t *testing.T, dir string, args ...string) (address string, stop func()) {
	t.Helper()
	cmd := command(t, dir, args...)
	told, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(told)
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		for lines.Scan() { // until it has ended
			continue
		}
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	serves := regexp.MustCompile(`msg=serves .*address=(\S+)`)
	var all strings.Builder
	for lines.Scan() {
		if found := serves.FindStringSubmatch(lines.Text()); found != nil {
			return found[1], stop
		}
		all.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("%v does not serve:\n%s", args, all.String())
	return "", nil
}
