package fuzz

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// tolerance is how far doubles may be apart, of their size; below one, of one:
// differences of equal sums are no relative measure.
const tolerance = 1e-9

// compare tells how two answers differ, "" if they do not. Both are brought into
// their canonical form, and into one order unless theirs counts.
func compare(columns []kind, ordered bool, here, there [][]string) string {
	if len(here) != len(there) {
		return fmt.Sprintf("%d rows here, %d from DuckDB", len(here), len(there))
	}
	for _, rows := range [][][]string{here, there} {
		for _, row := range rows {
			if len(row) != len(columns) {
				return fmt.Sprintf("a row of %d columns, not %d", len(row), len(columns))
			}
			for i, c := range columns {
				row[i] = canonical(c, row[i])
			}
		}
	}
	if !ordered {
		here, there = arranged(columns, here), arranged(columns, there)
	}
	for i := range here {
		for c := range columns {
			if here[i][c] != there[i][c] && !near(columns[c], here[i][c], there[i][c]) {
				return fmt.Sprintf("row %d, column %d: %q here, %q from DuckDB", i+1, c+1, here[i][c], there[i][c])
			}
		}
	}
	return ""
}

// canonical is a text that is the same for the same value.
func canonical(k kind, v string) string {
	if v == nullMark {
		return v
	}
	switch k {
	case boolean:
		return strings.ToUpper(v)
	case decimal, timestamp:
		if strings.Contains(v, ".") {
			v = strings.TrimRight(strings.TrimRight(v, "0"), ".")
		}
		// DuckDB leaves the zero before the point away where a type has no digits there.
		switch {
		case v == "-0", v == "":
			return "0"
		case strings.HasPrefix(v, "."):
			return "0" + v
		case strings.HasPrefix(v, "-."):
			return "-0" + v[1:]
		}
	case double:
		if x, err := strconv.ParseFloat(v, 64); err == nil {
			return strconv.FormatFloat(x+0, 'g', -1, 64)
		}
	}
	return v
}

// arranged sorts rows, by their doubles last and as numbers, so that rows that
// are near each other get the same places.
func arranged(columns []kind, rows [][]string) [][]string {
	keys := make([]string, len(rows))
	places := make([]int, len(rows))
	for i, row := range rows {
		var b strings.Builder
		for c, v := range row {
			if columns[c] != double {
				b.WriteString(v)
				b.WriteString(fieldEnd)
			}
		}
		for c, v := range row {
			if columns[c] == double {
				if x, err := strconv.ParseFloat(v, 64); err == nil {
					v = strconv.FormatFloat(x, 'e', 5, 64)
				}
				b.WriteString(v)
				b.WriteString(fieldEnd)
			}
		}
		b.WriteString(strings.Join(row, fieldEnd)) // among doubles that round to the same
		keys[i], places[i] = b.String(), i
	}
	slices.SortStableFunc(places, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
	out := make([][]string, len(rows))
	for i, place := range places {
		out[i] = rows[place]
	}
	return out
}

func near(k kind, a, b string) bool {
	if k != double {
		return false
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	if err1 != nil || err2 != nil {
		return false
	}
	return x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y), 1)
}
