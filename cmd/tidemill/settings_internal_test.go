package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
)

// Settings are written flat, indented, or in braces; what is none is refused with its line.
func TestParseSettings(t *testing.T) {
	want := map[string]string{"worker.slots": "4", "worker.memory.size": "8 gb", "io.tmp.dir": "/a: b", "io.tmp.limit": "1gb", "s3.endpoint": ""}
	for name, text := range map[string]string{
		"flat":     "# all\nworker.slots: 4\nworker.memory.size: 8 gb\nio.tmp.dir: '/a: b'\nio.tmp.limit: 1gb\n\ns3.endpoint:\n",
		"indented": "worker:\n  slots: 4\n  memory:\n    # big\n    size: \"8 gb\"\nio:\n  tmp:\n    dir: '/a: b'\n    limit: 1gb\ns3:\n  endpoint:\n",
		"mixed":    "worker: {slots: 4, memory: {size: 8 gb}}\nio.tmp:\n  dir: /a: b\nio:\n  tmp.limit: 1gb\ns3.endpoint: ''\n",
	} {
		got, err := parseSettings("f", []byte(text))
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for text, says := range map[string]string{
		"worker.slots: 4\nworker.slot: 5\n":        "f line 2: unknown option worker.slot; did you mean worker.slots?",
		"worker:\n  memory:\n    sise: 1gb\n":      "f line 3: unknown option worker.memory.sise; did you mean worker.memory.size?",
		"worker.slots: many\n":                     "f line 1: option worker.slots: ",
		"worker.slots: 1\nworker: {slots: 2}\n":    "f line 2: worker.slots is there twice",
		"worker.slots\n":                           "f line 1: want KEY: VALUE",
		"worker:\n\tslots: 1\n":                    "f line 2: indent by spaces",
		"worker.slots: 1\n  worker.memory.size: 1": "f line 2: it is indented below",
		"worker: {slots: 1\n":                      "f line 1: the braces do not match",
		"worker: {slots: 1}}\n":                    "f line 1: the braces do not match",
		"worker: {slots}\n":                        "f line 1: want {KEY: VALUE, ...}",
		"worker:\n":                                "f line 1: unknown option worker",
		"- worker.slots: 1\n":                      "f line 1: want KEY: VALUE",
	} {
		_, err := parseSettings("f", []byte(text))
		if failure.Of(err) != failure.Usage || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// What is written for another process reads as it was, and nobody else may read it, also
// where somebody could before.
func TestWriteSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d", "f.yaml")
	want := map[string]string{"io.tmp.dir": `{"x": 'y', # z`, "s3.secret-key": `a"b'c\d: ={}`, "s3.endpoint": "", "worker.slots": "3", "s3.region": `"`}
	for range 2 {
		if err := writeSettings(file, want); err != nil {
			t.Fatal(err)
		}
		got, err := readSettings(file, []string{"worker.slots=4"})
		want := maps.Clone(want)
		want["worker.slots"] = "4"
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSettings(file, map[string]string{"s3.secret-key": "a\nworker.slots: 7"}); failure.Of(err) != failure.Usage {
		t.Error(err)
	}
	if err := writeSettings(filepath.Join(file, "below"), want); err == nil {
		t.Error("a file below a file")
	}
	for _, args := range [][]string{{"/nowhere"}, {file, "-"}} {
		if _, err := readSettings(args[0], args[1:]); failure.Of(err) != failure.Usage {
			t.Errorf("%q: %v", args, err)
		}
	}
}
