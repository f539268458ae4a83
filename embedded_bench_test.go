package tidemill_test

import (
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// BenchmarkFirstAnswer is what a one-shot command pays besides its process: start
// the cluster, answer one query, end everything.
func BenchmarkFirstAnswer(b *testing.B) {
	const text = "SELECT k, SUM(v) FROM (VALUES ('a', 1), ('b', 2)) AS t(k, v) GROUP BY k"
	statement, err := parser.ParseStatement(text)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := tidemill.Embedded(b.Context(), tidemill.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s, err := e.Open(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		r, err := s.Execute(b.Context(), text, statement)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := read(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		for _, end := range []func() error{r.Close, s.Close, e.Close} {
			if err := end(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
