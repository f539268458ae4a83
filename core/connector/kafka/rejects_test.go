package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/connector"
)

// Messages that are no rows are told with their places, each once, also where the reader is
// thrown away after any of its batches and another one goes on from its snapshot.
func TestRejectsOnce(t *testing.T) {
	b := newBench(t)
	const n = 40
	var want []string
	for i := range n {
		text := fmt.Sprintf(`{"k":%d}`, i)
		is := fmt.Sprintf("row %d", i)
		if i%5 == 0 || i > 20 && i < 30 || i == n-1 {
			text = fmt.Sprintf(`{"k":"x%d"}`, i)
			is = fmt.Sprintf("topic in, partition 1, offset %d|column k: value \"x%d\" is not a BIGINT|%s", i, i, text)
		}
		want = append(want, is)
		b.send("in", 1, text)
	}
	s := source(b.table("in", "scan.bounded.mode = latest-offset"), 1)
	for _, restarts := range []bool{false, true} {
		var got []string
		env := b.env()
		env.Reject = func(r connector.Rejected) { got = append(got, r.Place+"|"+r.Err.Error()+"|"+string(r.Data)) }
		splits := b.all(b.enumerator(s, nil), 0)
		for len(splits) > 0 {
			splits = b.pollOnce(s, env, splits, restarts, &got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("restarts %v: got\n%s\nwant\n%s", restarts, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// pollOnce reads splits, to their end or one batch of them, and returns what is left.
func (b *bench) pollOnce(s connector.SourceSpec, env connector.ReaderEnv, splits []connector.Split, one bool, got *[]string) []connector.Split {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer stop()
	r := b.reader(s, env, splits...)
	defer r.Close()
	for {
		batch, wait, err := r.Poll(ctx)
		switch {
		case err != nil:
			b.t.Fatal(err)
		case wait == connector.ForSplit:
			return nil
		case wait == connector.ForData:
			select {
			case <-r.Ready():
			case <-ctx.Done():
				b.t.Fatal(ctx.Err())
			}
			continue
		}
		for i := range batch.Len() {
			*got = append(*got, "row "+batch.Column(0).ValueStr(i))
		}
		batch.Release()
		if one {
			left, err := r.Snapshot()
			if err != nil {
				b.t.Fatal(err)
			}
			return left
		}
	}
}

// A message of the raw format that is no text is rejected, too; and so is one whose key is no
// row, though its value is.
func TestRejectsOfRawAndKeys(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, "a", "\xff", "c")
	table := b.table("in", "scan.bounded.mode = latest-offset", "format = raw")
	table.Schema = table.Schema[1:2]
	var got []string
	env := b.env()
	env.Reject = func(r connector.Rejected) { got = append(got, fmt.Sprintf("%s|%v|%q", r.Place, r.Err, r.Data)) }
	s := source(table, 1)
	b.pollOnce(s, env, b.all(b.enumerator(s, nil), 0), false, &got)
	want := []string{"row a", `topic in, partition 0, offset 1|not UTF-8|"\xff"`, "row c"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	keyed := b.table("in", "scan.bounded.mode = latest-offset", "format = raw", "key.format = json", "key.fields = k", "value.fields-include = EXCEPT_KEY")
	keyed.Schema = keyed.Schema[:2]
	got = nil
	s = source(keyed, 1)
	b.pollOnce(s, env, b.all(b.enumerator(s, nil), 0), false, &got)
	if len(got) != 3 || slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "row") }) { // no message has a key
		t.Errorf("keys: %q", got)
	}
}
