package state

import (
	"bytes"
	"strings"
	"testing"
)

// A small run prints all places for both distributions.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Keys: 20_000, Repeated: 2, Dir: t.TempDir()}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"in memory  Zipf 0.99", "on disk    Zipf 0.99", "in memory  uniform", "on disk    uniform", "in memory  1% changed", "on disk    1% changed", "tiered     Zipf 0.99", "tiered     uniform", "tiered     1% changed", "reads of objects", "reading    restore 1 -> 2", "adopting   restore 2 -> 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if err := Run(t.Context(), Options{Keys: 1}, &out); err == nil {
		t.Error("one key is measured")
	}
	if err := Run(t.Context(), Options{Places: []string{"moon"}}, &out); err == nil {
		t.Error("an unknown place is measured")
	}
}

// By Zipf's law few keys are drawn often, and every key is within bounds.
func TestZipf(t *testing.T) {
	k, seen := newKeys(1000, 0.99, 1), map[int64]int{}
	for range 100_000 {
		x := k.next()
		if x < 0 || x >= 1000 {
			t.Fatalf("key %d", x)
		}
		seen[x]++
	}
	if most := seen[0]; most < 10_000 || most > 16_000 {
		t.Errorf("the first key is drawn %d times of 100,000", most)
	}
}
