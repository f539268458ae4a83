package suggest

import "strings"

// maxLength bounds the work for one name; longer names get no suggestion.
const maxLength = 64

// Closest returns the candidate that is closest to name by edit distance, letter case ignored, and "" when none is close
// enough to be a likely typing mistake. A swap of two neighbouring letters counts as one edit. Among equals the first wins.
func Closest(name string, candidates []string) string {
	folded := strings.ToLower(name)
	if len(folded) == 0 || len(folded) > maxLength {
		return ""
	}
	best, bestDistance := "", 1+tolerance(len(folded))
	for _, c := range candidates {
		if d := len(c) - len(folded); d >= bestDistance || -d >= bestDistance {
			continue
		}
		if distance := editDistance(folded, strings.ToLower(c)); distance < bestDistance {
			best, bestDistance = c, distance
		}
	}
	return best
}

// tolerance is the number of edits that still makes a typing mistake of a word of n letters likely.
func tolerance(n int) int {
	switch {
	case n <= 3:
		return 1
	case n <= 7:
		return 2
	default:
		return n / 3
	}
}

// editDistance is the optimal string alignment distance: insert, delete, replace, swap of neighbours.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
