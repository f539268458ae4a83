package datatype

import (
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// What users see of a value: exact decimals, as many fraction digits as the type
// has, floats that read back as themselves.
func TestAppendText(t *testing.T) {
	for _, c := range []struct{ kind, json, want string }{
		{"BOOLEAN", `true`, "TRUE"},
		{"TINYINT", `-5`, "-5"},
		{"BIGINT", `9223372036854775807`, "9223372036854775807"},
		{"DOUBLE", `3`, "3.0"},
		{"DOUBLE", `0.1`, "0.1"},
		{"FLOAT", `0.1`, "0.1"},
		{"DOUBLE", `1e20`, "1E+20"},
		{"DECIMAL(5, 2)", `"1.50"`, "1.50"},
		{"DECIMAL(5, 2)", `"-0.05"`, "-0.05"},
		{"DECIMAL(38, 3)", `"12345678901234567890.125"`, "12345678901234567890.125"},
		{"STRING", `"it's"`, "it's"},
		{"DATE", `"1969-12-31"`, "1969-12-31"},
		{"TIME(0)", `"01:02:03"`, "01:02:03"},
		{"TIMESTAMP(3)", `"2020-01-02 03:04:05.006"`, "2020-01-02 03:04:05.006"},
		{"TIMESTAMP(0)", `"2020-01-02 03:04:05"`, "2020-01-02 03:04:05"},
		{"TIMESTAMP(9)", `"1969-12-31 23:59:59.999999999"`, "1969-12-31 23:59:59.999999999"},
		{"ARRAY<INT>", `[1, null, 3]`, "[1, NULL, 3]"},
		{"MAP<STRING NOT NULL, INT>", `[{"key": "a", "value": 1}]`, "{a=1}"},
		{"ROW<a INT, b STRING>", `{"a": 1, "b": "x"}`, "(1, x)"},
		{"INT", `null`, "NULL"},
		{"NULL", `null`, "NULL"},
		{"ROW<a INT, b NULL>", `{"a": 1, "b": null}`, "(1, NULL)"},
	} {
		kind, err := Parse(c.kind)
		if err != nil {
			t.Fatal(err)
		}
		a, _, err := array.FromJSON(memory.DefaultAllocator, kind.Arrow(), strings.NewReader("["+c.json+"]"))
		if err != nil {
			t.Fatalf("%s %s: %v", c.kind, c.json, err)
		}
		if got := string(AppendText(nil, a, 0, kind, nil)); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.kind, c.json, got, c.want)
		}
		a.Release()
	}
}

func TestAppendIntervalsAndSpecialFloats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{string(AppendMonths(nil, 14)), "+1-02"},
		{string(AppendMonths(nil, -1)), "-0-01"},
		{string(AppendMillis(nil, 90_061_007)), "+1 01:01:01.007"},
		{string(AppendMillis(nil, -1)), "-0 00:00:00.001"},
		{string(AppendFloat(nil, math.NaN(), 64)), "NaN"},
		{string(AppendFloat(nil, math.Inf(-1), 64)), "-Infinity"},
		{string(AppendFloat(nil, 1e-5, 64)), "1E-05"},
		{string(AppendFloat(nil, 0, 64)), "0.0"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}
