package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// batch makes rows of "kind k v", kinds as +I; v may be null.
func (b *bench) batch(t connector.Table, lines ...string) *stream.Batch {
	builder := array.NewRecordBuilder(b.alloc, t.Schema.Arrow())
	defer builder.Release()
	var kinds []stream.RowKind
	for _, line := range lines {
		var kind, v string
		var k int64
		if _, err := fmt.Sscan(line, &kind, &k, &v); err != nil {
			b.t.Fatal(err)
		}
		builder.Field(0).(*array.Int64Builder).Append(k)
		if v == "null" {
			builder.Field(1).AppendNull()
		} else {
			builder.Field(1).(*array.StringBuilder).Append(v)
		}
		kinds = append(kinds, map[string]stream.RowKind{"+I": stream.Insert, "-U": stream.UpdateBefore, "+U": stream.UpdateAfter, "-D": stream.Delete}[kind])
	}
	out := stream.NewBatch(builder.NewRecordBatch())
	out.Kinds = kinds
	return out
}

func (b *bench) write(w connector.Writer, t connector.Table, lines ...string) {
	b.t.Helper()
	if err := w.Write(b.t.Context(), b.batch(t, lines...)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) prepare(w connector.Writer) []connector.Committable {
	b.t.Helper()
	c, err := w.Prepare(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bench) close(w connector.Writer) {
	b.t.Helper()
	if err := w.Close(); err != nil {
		b.t.Error(err)
	}
}

func exactly(b *bench, options ...string) connector.Table {
	return b.table(b.out, append([]string{"sink.delivery-guarantee = exactly-once", "sink.transactional-id-prefix = " + b.out}, options...)...)
}

// A topic that there is not yet is made by brokers that make topics: the first row is written.
// Others refuse, by its name.
func TestTopicIsMade(t *testing.T) {
	for _, makes := range []bool{true, false} {
		var opts []kfake.Opt
		if makes {
			opts = append(opts, kfake.AllowAutoTopicCreation())
		}
		b := newBench(t, opts...)
		b.out = "new"
		table := exactly(b)
		s := b.sink(table)
		w := b.writer(b.c, s, 0)
		b.write(w, table, "+I 1 x")
		c, err := w.Prepare(t.Context())
		if makes {
			if err == nil {
				err = b.committer(s).Commit(t.Context(), 1, c, false)
			}
			if err != nil || strings.Count(b.seen("new"), "=") != 1 {
				t.Errorf("in the topic is %q: %v", b.seen("new"), err)
			}
		} else if err == nil || !strings.Contains(err.Error(), "topic new: UNKNOWN_TOPIC_OR_PARTITION") {
			t.Errorf("written to a topic that nobody makes: %v", err)
		}
		b.close(w)
	}
}

// versions are brokers with the transactions of today and of before.
func versions(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Run("today", func(t *testing.T) { test(t, newBench(t)) })
	t.Run("before", func(t *testing.T) { test(t, newBench(t, kfake.MaxVersions(kversion.V3_6_0()))) })
}

// Rows are seen once their transaction is committed, each once, whoever commits and however
// often.
func TestExactlyOnce(t *testing.T) { versions(t, exactlyOnceTest) }

func exactlyOnceTest(t *testing.T, b *bench) {
	table := exactly(b)
	s := b.sink(table)
	w := b.writer(b.c, s, 0)
	var last []connector.Committable
	for n := range 3 * reuseAfter {
		b.write(w, table, fmt.Sprintf("+I %d x", n))
		c := b.prepare(w)
		if len(c) != 1 || c[0].Rows != 1 {
			t.Fatal(c)
		}
		if n == 0 && b.seen(b.out) != "" {
			t.Error("seen before the commit")
		}
		for range 2 {
			if err := b.committer(s).Commit(t.Context(), id.Checkpoint(n+1), c, false); err != nil {
				t.Fatal(err)
			}
		}
		last = c
	}
	if c := b.prepare(w); len(c) != 0 {
		t.Errorf("a transaction of no rows: %v", c)
	}
	b.write(w, table, "+I 99 aborted")
	b.close(w)
	if got := b.seen(b.out); strings.Count(got, "=") != 3*reuseAfter || strings.Contains(got, "aborted") {
		t.Error(got)
	}
	if err := b.committer(s).Commit(t.Context(), 99, last, true); err != nil {
		t.Error(err)
	}
	names := map[string]bool{}
	all, err := b.admin.ListTransactions(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if strings.HasPrefix(one.TxnID, b.out+"-") {
			names[one.TxnID] = true
		}
	}
	if len(names) != reuseAfter {
		t.Errorf("%d transactional ids", len(names))
	}
}

// A checkpoint that is given up leaves nothing; a new attempt aborts what the one before
// left open, and not what its checkpoint has prepared.
func TestAttempts(t *testing.T) { versions(t, attemptsTest) }

func attemptsTest(t *testing.T, b *bench) {
	table := exactly(b)
	s := b.sink(table)
	first := b.writer(b.c, s, 0)
	b.write(first, table, "+I 1 kept")
	kept := b.prepare(first)
	state, err := first.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	b.write(first, table, "+I 2 declined")
	if err := b.committer(s).Abort(t.Context(), b.prepare(first)); err != nil {
		t.Fatal(err)
	}
	b.write(first, table, "+I 3 lost")
	b.prepare(first) // nobody hears of it
	b.write(first, table, "+I 4 open")
	if err := first.(*writer).client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := b.writer(b.c, s, 1, state)
	b.write(second, table, "+I 5 again")
	c := append(kept, b.prepare(second)...)
	open, err := b.admin.ListTransactions(t.Context(), nil, []string{"Ongoing"})
	for name := range open {
		if !strings.HasPrefix(name, b.out+"-") {
			delete(open, name)
		}
	}
	if err != nil || len(open) != 2 {
		t.Errorf("open: %v, %v", open, err)
	}
	if err := b.committer(s).Commit(t.Context(), 2, c, false); err != nil {
		t.Fatal(err)
	}
	if got := b.seen(b.out); got != `={"k":1,"v":"kept"} ={"k":5,"v":"again"}` {
		t.Error(got)
	}
	if err := b.committer(s).Abort(t.Context(), kept); err != nil {
		t.Error(err) // nothing can be done, and nothing is wrong
	}
	first.(*writer).client.Close()
	first.(*writer).client = nil
	b.close(first)
	b.close(second)
}

// A transaction that the broker has ended is an error that names its rows.
func TestExpired(t *testing.T) { versions(t, expiredTest) }

func expiredTest(t *testing.T, b *bench) {
	table := exactly(b)
	s := b.sink(table)
	w := b.writer(b.c, s, 0)
	b.write(w, table, "+I 1 a", "+I 2 b")
	c := b.prepare(w)
	if err := b.committer(s).Abort(t.Context(), c); err != nil { // as the broker does
		t.Fatal(err)
	}
	err := b.committer(s).Commit(t.Context(), 3, c, false)
	if failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "2 rows in topic "+b.out+", partition") ||
		!strings.Contains(err.Error(), "offsets 0 to 1") || !strings.Contains(err.Error(), "checkpoint 3") {
		t.Errorf("%v", err)
	}
	b.close(w)
}

// Changes by key: the primary key is the message's key, and a deleted row has no value.
func TestUpsert(t *testing.T) {
	b := newBench(t)
	table := b.table("out", "scan.startup.mode = ", "format = ", "key.format = raw", "value.format = json", "value.fields-include = EXCEPT_KEY")
	table.PrimaryKey = []string{"v"}
	s := b.sink(table)
	w := b.writer(b.u, s, 0)
	b.write(w, table, "+I 1 a", "-U 1 a", "+U 2 a", "+I 3 b", "-D 3 b")
	c := b.prepare(w)
	committer, err := b.u.Committer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := committer.Commit(t.Context(), 1, c, true); err != nil || committer.Close() != nil {
		t.Fatal(err)
	}
	if got := b.seen(b.out); got != `a={"k":1} a={"k":2} b=- b={"k":3}` {
		t.Error(got)
	}
	if len(c) != 1 || c[0].Rows != 4 {
		t.Errorf("%v", c)
	}
	b.close(w)
}

// Rows with line breaks stay one message each.
func TestEncode(t *testing.T) {
	b := newBench(t)
	table := b.table("out", "format = csv", "sink.partitioner = fixed")
	w := b.writer(b.c, b.sink(table), 0)
	rows := b.batch(table, "+I 1 a", "+I 2 null")
	rows.Sel = []int32{1}
	if err := w.Write(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	builder := array.NewRecordBuilder(b.alloc, table.Schema.Arrow())
	builder.Field(0).AppendNull()
	builder.Field(1).(*array.StringBuilder).Append("x\ny")
	broken := stream.NewBatch(builder.NewRecordBatch())
	builder.Release()
	if err := w.Write(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	b.prepare(w)
	if got := b.seen(b.out); got != "=,\"x\ny\" =2," {
		t.Errorf("%q", got)
	}
	if end, err := b.admin.ListEndOffsets(t.Context(), "out"); err != nil || end["out"][1].Offset != 2 {
		t.Errorf("not all in partition 1: %v, %v", end, err)
	}
	b.close(w)
}

// Each request of a sink is refused once: the error says what was done.
func TestSinkErrors(t *testing.T) {
	for _, test := range []struct {
		key  kmsg.Key
		want string
	}{
		{kmsg.InitProducerID, "begin a transaction"},
		{kmsg.ListTransactions, ""}, // brokers of long ago have none
		{kmsg.Produce, "send to topic out"},
		{kmsg.EndTxn, "commit transaction out-"},
	} {
		b := newBench(t)
		table := exactly(b)
		b.cluster.ControlKey(test.key.Int16(), func(q kmsg.Request) (kmsg.Response, error, bool) {
			b.cluster.KeepControl()
			r := q.ResponseKind()
			code := kerr.ClusterAuthorizationFailed.Code
			switch r := r.(type) {
			case *kmsg.InitProducerIDResponse:
				r.ErrorCode = code
			case *kmsg.ListTransactionsResponse:
				r.ErrorCode = code
			case *kmsg.EndTxnResponse:
				r.ErrorCode = code
			case *kmsg.ProduceResponse:
				for _, topic := range q.(*kmsg.ProduceRequest).Topics {
					out := kmsg.ProduceResponseTopic{Topic: topic.Topic, TopicID: topic.TopicID}
					for _, p := range topic.Partitions {
						out.Partitions = append(out.Partitions, kmsg.ProduceResponseTopicPartition{Partition: p.Partition, ErrorCode: kerr.TopicAuthorizationFailed.Code})
					}
					r.Topics = append(r.Topics, out)
				}
			}
			return r, nil, true
		})
		err := func() error {
			s := b.sink(table)
			w, err := b.c.Writer(t.Context(), s, connector.WriterEnv{Alloc: b.alloc})
			if err != nil {
				return err
			}
			defer b.close(w)
			if err := w.Write(t.Context(), b.batch(table, "+I 1 a")); err != nil {
				return err
			}
			c, err := w.Prepare(t.Context())
			if err != nil {
				return err
			}
			return b.committer(s).Commit(t.Context(), 1, c, true)
		}()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || failure.Of(err) != failure.Fatal) {
			t.Errorf("%v: %v", test.key, err)
		}
	}
}

// Options that are wrong are named, before anybody is asked.
func TestOptions(t *testing.T) {
	b := newBench(t)
	for _, test := range [][2]string{
		{"topc = x", "unknown option 'topc' of connector kafka; did you mean 'topic'?"},
		{"topic-pattern = x", "one of the options 'topic' and 'topic-pattern'"},
		{"topic = ", "one of the options 'topic' and 'topic-pattern'"},
		{"format = ", "option 'format' is missing"},
		{"format = avro", `option 'format': "avro" is not one of csv, json, raw`},
		{"format = raw", "format raw takes one column, not 2"},
		{"json.ignore = true", "unknown option json.ignore"},
		{"csv.header = true", "unknown option 'csv.header'"},
		{"value.format = json", "mean the same"},
		{"key.fields = k", "'key.format' and 'key.fields' go together"},
		{"properties.bootstrap.servers = ", "'properties.bootstrap.servers' is missing"},
		{"properties.foo = 1", "unknown option 'properties.foo'"},
		{"properties.security.protocol = SASL_SSL", "'properties.sasl.jaas.config' is missing"},
		{"scan.startup.mode = now", "is not one of"},
		{"scan.startup.mode = timestamp", "'timestamp-millis' goes with"},
		{"scan.bounded.specific-offsets = 1", "goes with"},
		{"sink.delivery-guarantee = maybe", "is not one of none, at-least-once, exactly-once"},
		{"scan.watermark.alignment.group = g", "go together"},
	} {
		err := b.c.CheckOptions(b.table("in", test[0]))
		if failure.Of(err) != failure.InvalidSQL || !strings.Contains(err.Error(), test[1]) {
			t.Errorf("%s: %v", test[0], err)
		}
	}
	if err := b.c.CheckOptions(b.table("in", "scan.startup.mode = ")); err != nil {
		t.Error(err) // it may be a sink
	}
	if _, err := b.c.Enumerator(t.Context(), source(b.table("in", "scan.startup.mode = "), 1), nil); err == nil || !strings.Contains(err.Error(), "'properties.group.id' is missing") {
		t.Errorf("%v", err)
	}
	if _, err := b.c.Committer(t.Context(), b.sink(b.table("out", "sink.delivery-guarantee = exactly-once"))); err == nil || !strings.Contains(err.Error(), "'sink.transactional-id-prefix' is missing") {
		t.Errorf("%v", err)
	}
	if err := b.u.CheckOptions(b.table("in")); err == nil || !strings.Contains(err.Error(), "PRIMARY KEY") {
		t.Errorf("%v", err)
	}
}
