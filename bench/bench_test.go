package bench

import (
	"strings"
	"testing"
)

// A wrong answer must stop the comparison of times; a sum of doubles in another
// order must not.
func TestSameAnswer(t *testing.T) {
	for _, c := range []struct {
		ours, peers string
		same        bool
	}{
		{"a,b\n1,2.0\n", "x,y\n1,2\n", true},
		{"a\n0.30000000000000004\n", "a\n0.3\n", true},
		{"a\n1\n", "a\n2\n", false},
		{"a\n1\n", "a\n1\n2\n", false},
		{"a\nx\n", "a\ny\n", false},
		{"a\n1,2\n", "a\n1\n", false},
	} {
		if err := sameAnswer(c.ours, c.peers); (err == nil) != c.same {
			t.Errorf("%q and %q: %v", c.ours, c.peers, err)
		}
	}
}

func TestMeasuresAProcess(t *testing.T) {
	s, err := command{args: []string{"sh", "-c", "echo one"}}.run(t.Context())
	if err != nil || s.output != "one\n" || s.wall <= 0 || s.rss <= 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := (command{args: []string{"sh", "-c", "echo why >&2; exit 3"}}).run(t.Context()); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("failure lost: %v", err)
	}
	if m := median([]sample{{wall: 3}, {wall: 1}, {wall: 2}}); m.wall != 2 {
		t.Errorf("median %v", m.wall)
	}
}
