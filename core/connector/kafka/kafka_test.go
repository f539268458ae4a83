package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/csv"
	"github.com/tidemill/tidemill/formats/json"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a broker in this process, with a topic of three partitions, and what a test
// does with it.
type bench struct {
	t       *testing.T
	cluster *kfake.Cluster // nil: the broker is a process of its own
	brokers []string
	out     string // a topic of three partitions
	client  *kgo.Client
	admin   *kadm.Client
	c, u    *Connector
	alloc   *memory.CheckedAllocator
}

func newBench(t *testing.T, opts ...kfake.Opt) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(3, "in", "out")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := benchAt(t, cluster.ListenAddrs())
	b.cluster, b.out = cluster, "out"
	return b
}

// benchAt is a bench at brokers that are there.
func benchAt(t *testing.T, brokers []string) *bench {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	f, err := formats.NewRegistry(json.Format{}, csv.Format{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, brokers: brokers, client: client, admin: kadm.NewClient(client), c: New(f), u: NewUpsert(f)}
	b.alloc = memory.NewCheckedAllocator(memory.DefaultAllocator)
	t.Cleanup(func() { b.alloc.AssertSize(t, 0) })
	return b
}

// table is a table on the broker; options are key = value.
func (b *bench) table(topic string, options ...string) connector.Table {
	o := map[string]string{
		"connector": "kafka", "properties.bootstrap.servers": strings.Join(b.brokers, ","), "format": "json",
		"scan.startup.mode": "earliest-offset",
	}
	if topic != "" {
		o["topic"] = topic
	}
	for _, text := range options {
		k, v, _ := strings.Cut(text, " = ")
		if o[k] = v; v == "" {
			delete(o, k)
		}
	}
	return connector.Table{Name: "t", Options: o, Schema: datatype.Schema{
		{Name: "k", Type: datatype.Of(datatype.BigInt)}, {Name: "v", Type: datatype.Of(datatype.Varchar)},
	}}
}

func source(t connector.Table, parallelism int) connector.SourceSpec {
	return connector.SourceSpec{Table: t, Columns: t.Schema, Parallelism: parallelism}
}

func (b *bench) env() connector.ReaderEnv {
	return connector.ReaderEnv{Alloc: b.alloc, BatchRows: 4, Now: time.Now}
}

// send appends messages to a partition.
func (b *bench) send(topic string, partition int32, values ...string) {
	b.t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}
		if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) enumerator(s connector.SourceSpec, restored []byte) connector.Enumerator {
	b.t.Helper()
	e, err := b.c.Enumerator(b.t.Context(), s, restored)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = e.Close() })
	return e
}

func (b *bench) reader(s connector.SourceSpec, env connector.ReaderEnv, splits ...connector.Split) *reader {
	b.t.Helper()
	r, err := b.c.Reader(b.t.Context(), s, env)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, split := range splits {
		if err := r.Add(split); err != nil {
			b.t.Fatal(err)
		}
	}
	return r.(*reader)
}

// all are the splits that a subtask is given.
func (b *bench) all(e connector.Enumerator, subtask int) (out []connector.Split) {
	b.t.Helper()
	for {
		s, ok, err := e.Next(b.t.Context(), subtask)
		if _, later := errors.AsType[*connector.LaterError](err); later || err == nil && !ok {
			return out
		}
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, s)
	}
}

// rows polls until there are n rows, or the reader wants a split; as split: k v.
func rows(t *testing.T, r *reader, n int) (out []string, err error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for len(out) < n {
		b, wait, err := r.Poll(ctx)
		switch {
		case err != nil:
			return out, err
		case b != nil:
			for i := range b.Len() {
				text := r.Of() + ":"
				for c := range int(b.Record.NumCols()) {
					text += " " + b.Column(c).ValueStr(i)
				}
				out = append(out, text)
			}
			b.Release()
		case wait == connector.ForSplit:
			return out, nil
		default:
			select {
			case <-r.Ready():
			case <-ctx.Done():
				return out, fmt.Errorf("%d rows of %d: %w", len(out), n, ctx.Err())
			}
		}
	}
	return out, nil
}

// must is rows without errors, sorted.
func must(t *testing.T, r *reader, n int) string {
	t.Helper()
	out, err := rows(t, r, n)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

func (b *bench) sink(t connector.Table) connector.SinkSpec {
	return connector.SinkSpec{Job: id.Job{1, 2, 3}, Table: t, Columns: t.Schema}
}

func (b *bench) writer(c *Connector, s connector.SinkSpec, attempt uint32, restored ...[]byte) connector.Writer {
	b.t.Helper()
	w, err := c.Writer(b.t.Context(), s, connector.WriterEnv{
		Attempt: id.Attempt{Subtask: id.Subtask{Vertex: 2, Index: 1}, N: attempt}, Alloc: b.alloc, Restored: restored,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

func (b *bench) committer(s connector.SinkSpec) connector.Committer {
	b.t.Helper()
	c, err := b.c.Committer(b.t.Context(), s)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// seen is what a reader of committed messages sees in a topic: key=value, sorted.
func (b *bench) seen(topic string) string {
	b.t.Helper()
	end, err := b.admin.ListCommittedOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := kgo.NewClient(kgo.SeedBrokers(b.brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	left := map[int32]int64{}
	end.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var out []string
	for len(left) > 0 {
		r.PollFetches(b.t.Context()).EachRecord(func(m *kgo.Record) {
			if !m.Attrs.IsControl() {
				text := string(m.Value)
				if m.Value == nil {
					text = "-"
				}
				out = append(out, string(m.Key)+"="+text)
			}
			if m.Offset+1 >= left[m.Partition] {
				delete(left, m.Partition)
			}
		})
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
