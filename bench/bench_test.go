package bench

import (
	"io"
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

func TestMedian(t *testing.T) {
	if m := median([]sample{{wall: 3, rss: 1}, {wall: 1, rss: 2}, {wall: 2, rss: 3}}); m.wall != 2 || m.rss != 2 {
		t.Errorf("median %+v", m)
	}
}

func TestKernelsOptions(t *testing.T) {
	for name, o := range map[string]KernelsOptions{
		`--data ""`:        {},
		`--data "s3://b"`:  {Dir: "s3://b"},
		`no kernel "x"`:    {Dir: "d", Kernels: []string{"x"}},
		"make bench-peers": {Dir: "d"},
	} {
		o.Out = io.Discard
		if err := Kernels(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestKernelsAreChosenByTheirFirstWord(t *testing.T) {
	o := KernelsOptions{Kernels: []string{"sort", "group 1k"}, Rows: 10}
	var got []string
	for _, k := range o.trials() {
		got = append(got, k.name)
		if text := k.text(0); strings.Contains(text, "%") || strings.HasPrefix(k.name, "sort") && !strings.HasSuffix(text, "OFFSET 9") {
			t.Errorf("%s: %s", k.name, text)
		}
	}
	if strings.Join(got, ", ") != "group 1k, sort 1 key, sort 2 keys" || o.wants(written.name) {
		t.Errorf("got %q", got)
	}
}
