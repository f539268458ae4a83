package nexmark

import (
	"encoding/csv"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// SameRows compares the rows that the changes in ours leave with those of the peer, in
// any order; both are CSV with a header, and the first column of changes is their
// kind. Numbers and times are the same however many zeros end their fractions.
func SameRows(ours, theirs string, changes bool) error {
	a, err := fold(ours, changes)
	if err != nil {
		return fmt.Errorf("read our rows: %w", err)
	}
	b, err := fold(theirs, false)
	if err != nil {
		return fmt.Errorf("read the peer's rows: %w", err)
	}
	for row, n := range b {
		if a[row] -= n; a[row] == 0 {
			delete(a, row)
		}
	}
	if len(a) == 0 {
		return nil
	}
	more, less := 0, 0
	for _, n := range a {
		more, less = more+max(n, 0), less+max(-n, 0)
	}
	row := slices.Min(slices.Collect(maps.Keys(a)))
	return fmt.Errorf("%d rows are too many and %d are missing, such as %q (%+d)", more, less, row, a[row])
}

// fold counts the rows that changes leave.
func fold(text string, changes bool) (map[string]int, error) {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("there is no header")
	}
	left := map[string]int{}
	for _, line := range lines[1:] {
		n := 1
		if changes {
			switch line[0] {
			case "+I", "+U":
			case "-U", "-D":
				n = -1
			default:
				return nil, fmt.Errorf("a row of kind %q", line[0])
			}
			line = line[1:]
		}
		for i, v := range line {
			line[i] = plain(v)
		}
		row := strings.Join(line, "|")
		if left[row] += n; left[row] == 0 {
			delete(left, row)
		}
	}
	return left, nil
}

var fraction = regexp.MustCompile(`^[-0-9: T]+\.[0-9]+$`)

// plain is a value without zeros at the end of its fraction.
func plain(v string) string {
	if fraction.MatchString(v) {
		return strings.TrimSuffix(strings.TrimRight(v, "0"), ".")
	}
	return v
}
