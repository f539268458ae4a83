package tpch

import (
	"fmt"
	"testing"
)

func TestOfficialAnswers(t *testing.T) {
	for n := 1; n <= Count; n++ {
		if err := OfficialAnswer(n, "a\n"); err == nil {
			t.Errorf("query %d: no row is right", n)
		}
		if n == longest {
			continue
		}
		text, err := answers.ReadFile(fmt.Sprintf("answers/sf1/q%d.csv", n))
		if err != nil {
			t.Fatal(err)
		}
		if err := OfficialAnswer(n, string(text)); err != nil {
			t.Errorf("query %d: %v", n, err)
		}
	}
	if err := OfficialAnswer(longest, "a\n\""); err == nil {
		t.Error("broken CSV is right")
	}
	if err := OfficialAnswer(Count+1, "a\n"); err == nil {
		t.Error("there is no such query")
	}
}
