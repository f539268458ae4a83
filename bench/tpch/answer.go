package tpch

import (
	"encoding/csv"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// quotients are the columns, from 0, of each query that an average or a division
// makes; every other column is compared exactly.
func quotients(query int) []int {
	switch query {
	case 1:
		return []int{6, 7, 8}
	case 8:
		return []int{1}
	case 14, 17:
		return []int{0}
	default:
		return nil
	}
}

// SameAnswer compares two answers to a query, CSV with a header, and returns an
// error naming the first difference. Numbers are compared as decimals and exactly;
// averages and quotients may differ by 1e-6 absolute, because SQL's decimal
// division keeps six digits where a peer divides doubles. For values below one
// that is weaker than a relative 1e-6.
func SameAnswer(query int, ours, theirs string) error {
	a, err := parse(ours)
	if err != nil {
		return fmt.Errorf("read our answer: %w", err)
	}
	b, err := parse(theirs)
	if err != nil {
		return fmt.Errorf("read the peer's answer: %w", err)
	}
	if len(a) == 0 || len(b) == 0 {
		return fmt.Errorf("an answer without a header: %d lines, the peer has %d", len(a), len(b))
	}
	if len(a) != len(b) {
		return fmt.Errorf("%d rows, the peer has %d", len(a)-1, len(b)-1)
	}
	loose := quotients(query)
	for i := range a[1:] {
		x, y := a[i+1], b[i+1]
		if len(x) != len(y) {
			return fmt.Errorf("row %d: %d columns, the peer has %d", i+1, len(x), len(y))
		}
		for k := range x {
			if !sameValue(x[k], y[k], slices.Contains(loose, k)) {
				return fmt.Errorf("row %d, column %d: %s, the peer has %s", i+1, k+1, x[k], y[k])
			}
		}
	}
	return nil
}

// parse reads CSV in which an empty line is a row, of one column that is null.
func parse(text string) ([][]string, error) {
	header, rows, _ := strings.Cut(text, "\n")
	if strings.Contains(header, ",") {
		return csv.NewReader(strings.NewReader(text)).ReadAll()
	}
	lines := strings.Split(rows, "\n")
	for i, line := range lines[:len(lines)-1] {
		if strings.TrimSpace(line) == "" {
			lines[i] = `""`
		}
	}
	return csv.NewReader(strings.NewReader(header + "\n" + strings.Join(lines, "\n"))).ReadAll()
}

func sameValue(a, b string, loose bool) bool {
	if a == b {
		return true
	}
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	if !okX || !okY {
		return false
	}
	d := x.Sub(x, y)
	if !loose {
		return d.Sign() == 0
	}
	return d.Abs(d).Cmp(big.NewRat(1, 1_000_000)) <= 0
}
