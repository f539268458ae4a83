package shell

import (
	"slices"
	"testing"
)

// Enter must end the input exactly when statements are complete: a semicolon in
// a string or comment is not an end.
func TestAccept(t *testing.T) {
	for line, want := range map[string]bool{
		"":                       true,
		`\q`:                     true,
		"exit":                   true,
		"SELECT 1":               false,
		"SELECT 1;":              true,
		"SELECT 1;  ":            true,
		"SELECT ';":              false,
		"SELECT ';'":             false,
		"SELECT ';';":            true,
		"SELECT 1 -- ;":          false,
		"BEGIN STATEMENT SET;\n": false,
	} {
		if got := accept(line); got != want {
			t.Errorf("%q: got %v", line, got)
		}
	}
}

func TestCandidates(t *testing.T) {
	words := []string{"trips", "SUM", "SUBSTRING"}
	for _, c := range []struct {
		text string
		want []string
	}{
		{"SELECT su", []string{"sum", "substring"}},
		{"SELECT SUM(x) FR", []string{"FROM"}},
		{"SELECT * FROM tr", []string{"trips"}},
		{"SELECT ", nil},
	} {
		if got, _ := candidates(c.text, words); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %v", c.text, got)
		}
	}
}
