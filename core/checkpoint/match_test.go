package checkpoint

import (
	"fmt"
	"strings"
	"testing"
)

// Operators find the state of another plan, or nobody gets it: these are the rules, apart
// from plans.

// kept reads "uid exact/looser/loosest".
func keptOperators(texts ...string) (all []*KeptOperator) {
	for _, text := range texts {
		uid, meanings, ok := strings.Cut(text, " ")
		o := &KeptOperator{Uid: uid, Name: "Op " + uid}
		if ok {
			o.Kept = &Kept{Meanings: strings.Split(meanings, "/")}
		}
		all = append(all, o)
	}
	return all
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name        string
		former, now []string
		want        string
	}{
		{"the same", []string{"a x/b", "b y/b"}, []string{"b y/b", "a x/b"}, "[1 0]"},
		{"a program's own uids", []string{"a", "b"}, []string{"c", "b"}, "[-1 1]"},
		{"another uid, alone in what it means", []string{"a x/b"}, []string{"c z/b", "d y/e"}, "[0]"},
		{"one of two has changed", []string{"a x/b", "c y/b"}, []string{"d y/b", "e z/b"}, "[1 0]"},
		{"both have changed", []string{"a x/b", "c y/b"}, []string{"d u/b", "e v/b"}, "[-1 -1] unclear 0 1"},
		{"one too many now", []string{"a x/b"}, []string{"d u/b", "e v/b"}, "[-1] unclear 0"},
		{"one too many before", []string{"a x/b", "c y/b"}, []string{"d u/b"}, "[-1 -1] unclear 0 1"},
		{"gone", []string{"a x/b"}, []string{"d y/e"}, "[-1]"},
		{"nothing before", nil, []string{"a x/b"}, "[]"},
	} {
		to, unclear := Match(keptOperators(c.former...), keptOperators(c.now...))
		got := fmt.Sprint(to)
		for i := range to {
			if err := unclear[i]; err != nil {
				if got == fmt.Sprint(to) {
					got += " unclear"
				}
				got += fmt.Sprint(" ", i)
				if !strings.Contains(err.Error(), "Op "+strings.Fields(c.former[i])[0]) || !strings.Contains(err.Error(), "Op d (d)") {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// keptColumns reads "name type meaning", listed unless it ends with !.
func keptColumns(text string) (out []*KeptColumn) {
	for column := range strings.SplitSeq(text, ", ") {
		f := strings.Fields(strings.TrimSuffix(column, "!"))
		out = append(out, &KeptColumn{Name: f[0], Type: f[1], Meaning: f[2], Table: 1, Listed: !strings.HasSuffix(column, "!")})
	}
	return out
}

func TestFit(t *testing.T) {
	for _, c := range []struct{ name, former, now, want string }{
		{"the same", "a INT x, b INT y", "a INT x, b INT y", "[]"},
		{"other names", "a INT x, b INT y", "c INT x, a INT y", "[]"},
		{"another order", "a INT x, b INT y", "b INT y, a INT x", "[table:1 former:2 from:1 from:0]"},
		{"one goes", "a INT x, b INT y, c INT z", "c INT z, a INT x", "[table:1 former:3 from:2 from:0]"},
		{"the last goes", "a INT x, b INT y", "a INT x", "[table:1 former:2 from:0]"},
		{"equal ones", "a INT x, b INT x", "b INT x, a INT x", "[]"},
		{"one is there twice now", "a INT x, b INT y", "b INT y, c INT y, a INT x", "[table:1 former:2 from:1 from:1 from:0]"},
		{"one comes", "a INT x", "a INT x, b INT y", "it has no column b INT, which is kept now"},
		{"names mislead", "a INT x, b INT y", "a INT y, b INT z", "it has no column b INT, which is kept now"},
		{"another type", "a INT x", "a BIGINT x", "its column a is INT, and column a is BIGINT now"},
		{"keys stay where they are", "a INT x!, b INT y!", "b INT y!, a INT x!", "its column b was column 2 and is column 1 now"},
		{"equal keys", "a INT x!, b INT x!", "a INT x!, b INT x!", "[]"},
		{"a key goes", "a INT x!, b INT y!", "a INT x!", "it has a column b, which is not kept any more"},
	} {
		former := &KeptOperator{Uid: "u", Name: "Join", Kept: &Kept{Columns: keptColumns(c.former)}}
		moved, err := Fit(former, &KeptOperator{Kept: &Kept{Columns: keptColumns(c.now)}})
		got := strings.ReplaceAll(fmt.Sprint(moved), "  ", " ")
		if err != nil {
			if got = err.Error(); !strings.HasPrefix(got, "the state of Join (u): ") {
				t.Errorf("%s: %s", c.name, got)
			}
			got = strings.TrimPrefix(got, "the state of Join (u): ")
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if moved, err := Fit(&KeptOperator{}, &KeptOperator{Kept: &Kept{Columns: keptColumns("a INT x")}}); moved != nil || err != nil {
		t.Errorf("of a manifest that does not tell: %v, %v", moved, err)
	}
	asked := &KeptOperator{Name: "Join", Kept: &Kept{Given: []string{"a"}, Asked: []string{"a", "b"}}}
	if _, err := Fit(asked, &KeptOperator{Kept: &Kept{Given: []string{"a", "c"}}}); err != nil {
		t.Errorf("conditions that were there, and new ones: %v", err)
	}
	if _, err := Fit(asked, &KeptOperator{Kept: &Kept{Given: []string{"b"}}}); err == nil {
		t.Error("a condition that comes before the rows that it dropped")
	}
}
