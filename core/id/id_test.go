package id

import "testing"

// The printed forms are file names and REST paths: they may never change.
func TestPrintedForms(t *testing.T) {
	a := Attempt{Subtask: Subtask{Vertex: 3, Index: 1}, N: 2}
	for _, c := range []struct{ got, want string }{
		{a.String(), "3.1#2"},
		{Partition{Exchange: 2, Index: 7}.String(), "2/7"},
		{Slot{Worker: "w1", Index: 3}.String(), "w1:3"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestJobRoundTrip(t *testing.T) {
	j := NewJob()
	k, err := ParseJob(j.String())
	if err != nil || k != j || j.IsZero() {
		t.Fatalf("%v: got %v, %v", j, k, err)
	}
	for _, bad := range []string{"", "xy", j.String() + "00", j.String()[:31] + "g"} {
		if _, err := ParseJob(bad); err == nil {
			t.Errorf("ParseJob(%q) gave no error", bad)
		}
	}
}
