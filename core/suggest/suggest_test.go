package suggest

import "testing"

// A suggestion must be what was meant, or none: a wild guess misleads.
func TestClosest(t *testing.T) {
	names := []string{"passenger_count", "fare", "id", "SUM", "parallelism.default"}
	for _, c := range []struct{ typed, want string }{
		{"pasenger_count", "passenger_count"},
		{"FARE", "fare"},
		{"fera", "fare"},
		{"di", "id"},
		{"sun", "SUM"},
		{"paralelism.defualt", "parallelism.default"},
		{"customer", ""},
		{"", ""},
	} {
		if got := Closest(c.typed, names); got != c.want {
			t.Errorf("%q: got %q, want %q", c.typed, got, c.want)
		}
	}
}
