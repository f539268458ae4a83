package tpch

import (
	"strings"
	"testing"
)

func TestQueriesAreThere(t *testing.T) {
	seen := map[string]int{}
	for n := 1; n <= Count; n++ {
		text, err := Query(n)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(text, ";") || text == "" {
			t.Errorf("query %d is empty or ends in a semicolon", n)
		}
		if other, ok := seen[text]; ok {
			t.Errorf("queries %d and %d are the same text", other, n)
		}
		seen[text] = n
	}
}

func TestNoSuchQuery(t *testing.T) {
	for _, n := range []int{-1, 0, Count + 1} {
		if text, err := Query(n); err == nil {
			t.Errorf("query %d is %q, want an error", n, text)
		}
	}
}

func TestViewsQuoteTheDirectory(t *testing.T) {
	got := Views("s3://b/it's/")
	if want := "CREATE VIEW lineitem AS SELECT * FROM 's3://b/it''s/lineitem.parquet';\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end with %q", got, want)
	}
	if n := strings.Count(got, "CREATE VIEW"); n != len(Tables()) {
		t.Errorf("%d views, want %d", n, len(Tables()))
	}
}
