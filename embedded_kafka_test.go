package tidemill_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topics is a Kafka broker that a test's engine talks to.
type topics struct {
	t       *testing.T
	brokers string
	client  *kgo.Client
	admin   *kadm.Client
}

// inProcess starts a broker in this process.
func inProcess(t *testing.T) *topics {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return brokers(t, strings.Join(cluster.ListenAddrs(), ","))
}

func brokers(t *testing.T, at string) *topics {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &topics{t: t, brokers: at, client: c, admin: kadm.NewClient(c)}
}

func (k *topics) create(partitions int32, names ...string) {
	k.t.Helper()
	all, err := k.admin.CreateTopics(k.t.Context(), partitions, 1, nil, names...)
	if err == nil {
		err = all.Error()
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// send puts a text of row i into each partition, by turns.
func (k *topics) send(topic string, partitions, from, to int, text func(i int) string) {
	k.t.Helper()
	for i := from; i < to; i++ {
		r := &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: []byte(text(i))}
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

// table is DDL of a table over a topic.
func (k *topics) table(name, columns, topic string, options ...string) string {
	with := []string{"'connector' = 'kafka'", "'properties.bootstrap.servers' = '" + k.brokers + "'", "'topic' = '" + topic + "'", "'format' = 'json'"}
	for _, o := range options {
		key, v, _ := strings.Cut(o, " = ")
		with = append(with, fmt.Sprintf("'%s' = '%s'", key, v))
	}
	return fmt.Sprintf("CREATE TABLE %s (%s) WITH (%s);\n", name, columns, strings.Join(with, ", "))
}

// upserts is DDL of a table over a topic of changes by key.
func (k *topics) upserts(name, columns, topic string, options ...string) string {
	return strings.NewReplacer("'kafka'", "'upsert-kafka'", "'format'", "'value.format'").Replace(
		k.table(name, columns, topic, append(options, "key.format = json")...))
}

// reader reads the committed messages of a topic from its beginning.
func (k *topics) reader(topic string) *kgo.Client {
	k.t.Helper()
	r, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(k.brokers, ",")...), kgo.ConsumeTopics(topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		k.t.Fatal(err)
	}
	return r
}

// committed reads what a reader of committed rows sees, until there are n or a while has
// passed; sorted.
func (k *topics) committed(topic string, n int) []string {
	k.t.Helper()
	ctx, stop := context.WithTimeout(k.t.Context(), time.Minute)
	defer stop()
	r := k.reader(topic)
	defer r.Close()
	var out []string
	for len(out) < n {
		f := r.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			k.t.Errorf("%d rows of %d in %s: %v", len(out), n, topic, err)
			break
		}
		f.EachRecord(func(m *kgo.Record) { out = append(out, string(m.Value)) })
	}
	slices.Sort(out)
	return out
}

const streamingEverySecond = `
	SET 'execution.runtime-mode' = 'streaming';
	SET 'execution.checkpointing.interval' = '100 ms';
	SET 'state.checkpoints.dir' = '${dir}/checkpoints';
	`

// A topic is copied to another one, exactly once, with checkpoints under way.
func TestKafkaToKafka(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	k := inProcess(t)
	k.create(3, "in", "out")
	k.send("in", 3, 0, 3000, func(i int) string { return fmt.Sprintf(`{"n":%d}`, i) })
	_, err := e.execute(streamingEverySecond +
		k.table("a", "n BIGINT", "in", "scan.startup.mode = earliest-offset", "scan.bounded.mode = latest-offset") +
		k.table("b", "n BIGINT", "out", "sink.delivery-guarantee = exactly-once", "sink.transactional-id-prefix = copy") +
		"INSERT INTO b SELECT n FROM a")
	if err != nil {
		t.Fatal(err)
	}
	got := k.committed("out", 3000)
	if all := len(slices.Compact(slices.Clone(got))); len(got) != 3000 || all != 3000 {
		t.Errorf("%d rows, %d of them different", len(got), all)
	}
}

// Two partitions are years apart, and a third one is silent. A watermark of all rows together would
// drop all but the latest partition's; by split nothing is late. The windows come while the
// input is still there.
func TestKafkaWatermarkBySplit(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "1", "table.exec.source.idle-timeout": "1 s"})
	k := inProcess(t)
	k.create(3, "in")
	const columns = "k BIGINT, millis BIGINT, ts AS CAST(TO_TIMESTAMP_LTZ(millis, 3) AS TIMESTAMP(3)), WATERMARK FOR ts AS ts"
	years := func(p int) func(i int) string {
		return func(i int) string {
			return fmt.Sprintf(`{"k":%d,"millis":%d}`, p, int64(p)*365*86_400_000+int64(i)*100)
		}
	}
	// 20 windows of a second in each of two partitions; the last one stays open in the later.
	for i := range 200 {
		k.send("in", 1, i, i+1, years(0))
	}
	send := func(p int, from, to int) {
		for i := from; i < to; i++ {
			if err := k.client.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Partition: int32(p), Value: []byte(years(p)(i))}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(1, 0, 201)
	r := e.startStream(k.table("a", columns, "in", "scan.startup.mode = earliest-offset") + `
		SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end`)
	defer r.Close()
	counts := map[string]int{}
	for n := 0; n < 40; {
		b, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Len() {
			counts[b.Column(0).ValueStr(i)+" "+b.Column(1).ValueStr(i)]++
			n++
		}
		b.Release()
	}
	if counts["0 10"] != 20 || counts["1 10"] != 20 {
		t.Errorf("windows: %v", counts)
	}
}

// Counts by key go into a topic as changes by primary key: the last message of each key is
// its count.
func TestKafkaUpsert(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	k := inProcess(t)
	k.create(3, "in", "counts")
	k.send("in", 3, 0, 3000, func(i int) string { return fmt.Sprintf(`{"n":%d}`, i%7) })
	_, err := e.execute(streamingEverySecond +
		k.table("a", "n BIGINT NOT NULL", "in", "scan.startup.mode = earliest-offset", "scan.bounded.mode = latest-offset") +
		k.upserts("c", "n BIGINT, c BIGINT, PRIMARY KEY (n) NOT ENFORCED", "counts", "sink.delivery-guarantee = exactly-once", "sink.transactional-id-prefix = counts") +
		"INSERT INTO c SELECT n, COUNT(*) FROM a GROUP BY n")
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]string{}
	r := k.reader("counts")
	defer r.Close()
	want := map[string]string{}
	for n := range 7 {
		want[fmt.Sprintf(`{"n":%d}`, n)] = fmt.Sprintf(`{"n":%d,"c":%d}`, n, (3000+6-n)/7)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for ctx.Err() == nil && !maps.Equal(last, want) {
		r.PollFetches(ctx).EachRecord(func(m *kgo.Record) { last[string(m.Key)] = string(m.Value) })
	}
	if !maps.Equal(last, want) {
		t.Errorf("got %v, want %v", last, want)
	}
}
