package logictest

import (
	"strings"
	"testing"
)

func TestSame(t *testing.T) {
	for _, c := range []struct {
		letter byte
		a, b   string
		want   bool
	}{
		{'I', "1", "1", true},
		{'I', "1", "2", false},
		{'N', "1.50", "1.5", true},
		{'N', "0.10", "0.1000000001", false},
		{'N', "NULL", "0", false},
		{'R', "0.1", "0.10000000000000001", true},
		{'R', "1.0", "1.00000001", false},
		{'R', "1E+20", "100000000000000000000.0", true},
		{'R', "Infinity", "Infinity", true},
		{'R', "NaN", "NULL", false},
		{'B', "TRUE", "true", true},
		{'P', "2026-01-01 00:00:00.500", "2026-01-01 00:00:00.5", true},
		{'P', "2026-01-01 00:00:00.000", "2026-01-01 00:00:00", true},
		{'C', "10:00:00", "10:00:00.000", true},
		{'T', "1.0", "1", false},
		{'T', "a", "A", false},
	} {
		if got := same(c.letter, c.a, c.b); got != c.want {
			t.Errorf("%c %s %s: %t", c.letter, c.a, c.b, got)
		}
	}
}

func TestEscapeIsOneValueOfOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "(empty)", "NULL": `\NULL`, "(empty)": `\(empty)`, "a | b": `a \| b`, "a\nb\t": `a\nb\t`, " a ": `\sa\s`, `\`: `\\`, " ": `\s`,
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestDifference(t *testing.T) {
	rows := [][]string{{"10", "b"}, {"9", "a"}, {"NULL", "c"}}
	if d := difference("IT", exactOrder, []string{"10 | b", "9 | a", "NULL | c"}, rows); d != "" {
		t.Error(d)
	}
	if d := difference("IT", rowOrder, []string{"NULL | c", "9 | a", "10 | b"}, arrange(rows, "IT", rowOrder)); d != "" {
		t.Error(d)
	}
	if d := difference("IT", valueOrder, []string{"10", "9", "NULL", "a", "b", "c"}, arrange(rows, "IT", valueOrder)); d != "" {
		t.Error(d)
	}
	for _, wrong := range [][]string{{"9 | a", "10 | b", "NULL | c"}, {"10 | b", "9 | a"}, {"10", "9", "NULL"}, nil} {
		if difference("IT", exactOrder, wrong, rows) == "" {
			t.Errorf("%q is not different", wrong)
		}
	}
	many := make([][]string, 1000)
	for i := range many {
		many[i] = []string{"x"}
	}
	if d := difference("T", exactOrder, nil, many); strings.Count(d, "\n") > maxShown+2 {
		t.Errorf("a difference of 1000 rows shows %d lines", strings.Count(d, "\n"))
	}
}
