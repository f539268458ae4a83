//go:build streams

package kafka

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// What the tests of the sink, and of changes by key, show with a broker in the process, with the one that make
// test-streams starts.
func TestStreamsSink(t *testing.T) {
	at := os.Getenv("TIDEMILL_KAFKA")
	if at == "" {
		t.Fatal("TIDEMILL_KAFKA names no broker; run: make test-streams")
	}
	for name, test := range map[string]func(*testing.T, *bench){
		"exactly once": exactlyOnceTest, "attempts": attemptsTest, "expired": expiredTest, "timed out": timedOutTest,
		"upserts": upsertSourceTest, "malformed upserts": upsertMalformedTest,
	} {
		t.Run(name, func(t *testing.T) {
			b := benchAt(t, []string{at})
			b.out = "out" + strings.ToLower(rand.Text())
			if _, err := b.admin.CreateTopic(t.Context(), 3, 1, nil, b.out); err != nil {
				t.Fatal(err)
			}
			test(t, b)
		})
	}
}

// The broker ends a transaction that was prepared and left open for too long: a commit says
// what is lost.
func timedOutTest(t *testing.T, b *bench) {
	table := exactly(b, "properties.transaction.timeout.ms = 1000")
	s := b.sink(table)
	w := b.writer(b.c, s, 0)
	b.write(w, table, "+I 1 a", "+I 2 b")
	c := b.prepare(w)
	for open := true; open; {
		all, err := b.admin.ListTransactions(t.Context(), nil, []string{"Ongoing", "PrepareAbort"})
		if err != nil {
			t.Fatal(err)
		}
		open = false
		for name := range all {
			open = open || strings.HasPrefix(name, b.out+"-")
		}
	}
	err := b.committer(s).Commit(t.Context(), id.Checkpoint(7), c, true)
	if failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "with 2 rows in topic "+b.out) {
		t.Errorf("%v", err)
	}
	b.close(w)
}
