package fuzz

import "testing"

func TestCompare(t *testing.T) {
	kinds := []kind{decimal, double, text}
	for _, c := range []struct {
		name        string
		ordered     bool
		here, there [][]string
		same        bool
	}{
		{"forms of numbers", true, [][]string{{"1.50", "1.0E20", "a"}}, [][]string{{"1.5", "1e+20", "a"}}, true},
		{"no digit before the point", true, [][]string{{"-0.5", "0", ""}}, [][]string{{"-.50", "-0.0", ""}}, true},
		{"near doubles", true, [][]string{{"1", "0.1", "a"}}, [][]string{{"1", "0.10000000000000002", "a"}}, true},
		{"doubles that are not near", true, [][]string{{"1", "0.1", "a"}}, [][]string{{"1", "0.10001", "a"}}, false},
		{"decimals are exact", true, [][]string{{"1.0000000001", "0", "a"}}, [][]string{{"1", "0", "a"}}, false},
		{"any order", false, [][]string{{"2", "0", "b"}, {"1", "0", "a"}}, [][]string{{"1", "0", "a"}, {"2", "0", "b"}}, true},
		{"an order", true, [][]string{{"2", "0", "b"}, {"1", "0", "a"}}, [][]string{{"1", "0", "a"}, {"2", "0", "b"}}, false},
		{"how often", false, [][]string{{"1", "0", "a"}, {"1", "0", "a"}, {"2", "0", "a"}}, [][]string{{"1", "0", "a"}, {"2", "0", "a"}, {"2", "0", "a"}}, false},
		{"how many", false, [][]string{{"1", "0", "a"}}, nil, false},
		{"null is no text", true, [][]string{{nullMark, "0", nullMark}}, [][]string{{nullMark, "0", ""}}, false},
		{"a null among doubles", false, [][]string{{"1", "0", "a"}, {"1", nullMark, "a"}}, [][]string{{"1", nullMark, "a"}, {"1", "0", "a"}}, true},
		{"doubles of nearly one size", false, [][]string{{"1", "996485802.0", "a"}, {"1", "996485810.0", "a"}}, [][]string{{"1", "996485810.0", "a"}, {"1", "996485802.0", "a"}}, true},
		{"columns", true, [][]string{{"1", "0"}}, [][]string{{"1", "0"}}, false},
	} {
		if d := compare(kinds, c.ordered, c.here, c.there); (d == "") != c.same {
			t.Errorf("%s: %q", c.name, d)
		}
	}
}
