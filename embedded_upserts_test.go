package tidemill_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Topics of changes by key, as tables: what is read of them is each key's latest row, and they
// are copied change by change.

const upsertColumns = "k BIGINT, v BIGINT NOT NULL, at TIMESTAMP(3) NOT NULL, w AS v + 1, PRIMARY KEY (k) NOT ENFORCED, WATERMARK FOR at AS at - INTERVAL '1' SECOND"

// change is message i of a topic: of one of 40 keys, in the partition of the key. Every fifth
// one deletes what may not be there.
func change(i int) *kgo.Record {
	key := i * 7 % 40
	r := &kgo.Record{Partition: int32(key % 3), Key: fmt.Appendf(nil, `{"k":%d}`, key)}
	if i%5 != 0 || i%3 == 0 {
		r.Value = fmt.Appendf(nil, `{"k":%d,"v":%d,"at":"2026-01-01 00:%02d:%02d"}`, key, i, i/60%60, i%60)
	}
	return r
}

func (k *topics) change(topic string, from, to int) {
	k.t.Helper()
	for i := from; i < to; i++ {
		r := change(i)
		r.Topic = topic
		k.client.Produce(k.t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				k.t.Errorf("send: %v", err)
			}
		})
	}
	if err := k.client.Flush(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
}

// latest are the rows that the first n changes leave and keep passes; sorted.
func latest(n int, keep func(v int) bool) []string {
	rows := map[int]int{}
	for i := range n {
		if key := i * 7 % 40; change(i).Value != nil {
			rows[key] = i
		} else {
			delete(rows, key)
		}
	}
	var out []string
	for key, v := range rows {
		if keep(v) {
			out = append(out, fmt.Sprintf("%d %d", key, v))
		}
	}
	slices.Sort(out)
	return out
}

// The rows are those of a batch job and of a streaming one, and what is counted of them is
// counted of the latest only.
func TestKafkaUpsertSource(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	k := inProcess(t)
	k.create(3, "in")
	k.change("in", 0, 1003)
	if _, err := e.execute(k.upserts("a", upsertColumns, "in", "scan.bounded.mode = latest-offset")); err != nil {
		t.Fatal(err)
	}
	all := latest(1003, func(int) bool { return true })
	odd := latest(1003, func(v int) bool { return v%2 == 1 })
	if len(all) == 40 || len(odd) == 0 || len(odd) == len(all) {
		t.Fatalf("%d rows, %d of them odd: too simple", len(all), len(odd))
	}
	for _, mode := range []string{"batch", "streaming"} {
		set := "SET 'execution.runtime-mode' = '" + mode + "'; "
		e.expect(set+"SELECT k, w - 1 FROM a", all...)
		e.expect(set+"SELECT k, v FROM a WHERE v % 2 = 1 AND k >= 0", odd...)
		e.expect(set+"SELECT COUNT(*), COUNT(DISTINCT k) FROM a", fmt.Sprintf("%d %d", len(all), len(all)))
		e.expect(set+"SELECT SUM(c), MIN(c) > 0 FROM (SELECT COUNT(*) AS c FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(at), INTERVAL '2' SECOND)) GROUP BY window_start, window_end)",
			fmt.Sprintf("%d true", len(all)))
	}
}

// A topic is copied exactly once, through a savepoint and into another parallelism: of each
// key its changes are there once and in their order, deletes of what is not there as well. A
// filtered copy has the deletes of rows that do not pass any more.
func TestKafkaUpsertToUpsert(t *testing.T) {
	e := open(t, nil)
	k := inProcess(t)
	k.create(3, "in", "copied", "odd")
	const half, all = 1500, 3001
	k.change("in", 0, half)
	tables := streamingEverySecond + "SET 'state.savepoints.dir' = '${dir}/savepoints';" + k.upserts("a", upsertColumns, "in")
	for _, name := range []string{"copied", "odd"} {
		tables += k.upserts(name, "k BIGINT, v BIGINT, at TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED", name,
			"sink.delivery-guarantee = exactly-once", "sink.transactional-id-prefix = "+name)
	}
	const job = `EXECUTE STATEMENT SET BEGIN INSERT INTO copied SELECT k, w - 1, at FROM a; INSERT INTO odd SELECT k, v, at FROM a WHERE v % 2 = 1; END`
	saved := e.savepoint("SET 'parallelism.default' = '1';" + tables + job)
	k.change("in", half, all)
	r := e.startStream(fmt.Sprintf("SET 'parallelism.default' = '2'; SET 'execution.state-recovery.path' = '%s'; ", saved) + job)
	want := map[string]string{}
	for i := range all {
		m := change(i)
		want[string(m.Key)] += text(m) + "\n"
	}
	got := k.until("copied", func(all map[string]string) bool { return sizeOf(all) >= sizeOf(want) })
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("key %s: got\n%s\nwant\n%s", key, got[key], want[key])
		}
	}
	left := latest(all, func(v int) bool { return v%2 == 1 })
	k.until("odd", func(all map[string]string) bool { return slices.Equal(lastOf(all), left) })
	id, _ := r.Job()
	e.expect(fmt.Sprintf("STOP JOB '%v'", id))
	if _, err := read(t.Context(), r); err == nil {
		t.Error("a job that was stopped has ended")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	e.expect("SET 'execution.runtime-mode' = 'batch'; SET 'execution.state-recovery.path' = ''; "+
		"SELECT k, v FROM odd /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */", left...)
}

// text is what a change of the tests says: v, or - for a delete.
func text(m *kgo.Record) string {
	if m.Value == nil {
		return "-"
	}
	_, v, _ := strings.Cut(string(m.Value), `"v":`)
	v, _, _ = strings.Cut(v, ",")
	return v
}

func sizeOf(all map[string]string) (n int) {
	for _, s := range all {
		n += len(s)
	}
	return n
}

// lastOf are the rows that changes by key leave; sorted.
func lastOf(all map[string]string) []string {
	var out []string
	for key, texts := range all {
		lines := strings.Split(strings.TrimSpace(texts), "\n")
		if last := lines[len(lines)-1]; last != "-" {
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(key, `{"k":`), "}")+" "+last)
		}
	}
	slices.Sort(out)
	return out
}

// until reads committed changes, by key a line for each, until there are enough.
func (k *topics) until(topic string, enough func(map[string]string) bool) map[string]string {
	k.t.Helper()
	ctx, stop := context.WithTimeout(k.t.Context(), time.Minute)
	defer stop()
	r := k.reader(topic)
	defer r.Close()
	all := map[string]string{}
	for !enough(all) {
		f := r.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			k.t.Fatalf("topic %s: %v; there is\n%v", topic, err, all)
		}
		f.EachRecord(func(m *kgo.Record) { all[string(m.Key)] += text(m) + "\n" })
	}
	return all
}
