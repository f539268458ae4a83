package kafka

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// A bounded table is read to where the topic ends, by two subtasks, each partition once;
// transactions that were aborted are not seen, and one at the end does not hold it up.
func TestBounded(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, `{"k":1,"v":"a"}`, `{"k":2,"v":"b\nc"}`)
	b.send("in", 2, "{\"k\":3,\n \"v\":\"d\"}")
	txn, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer txn.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		txn.Produce(t.Context(), &kgo.Record{Topic: "in", Partition: 0, Value: []byte(`{"k":4}`)}, nil)
		if err := txn.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := txn.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	s := source(b.table("in", "scan.bounded.mode = latest-offset"), 2)
	e := b.enumerator(s, nil)
	b.send("in", 0, `{"k":5}`) // behind the end
	var got []string
	for subtask := range 2 {
		r := b.reader(s, b.env(), b.all(e, subtask)...)
		out, err := rows(t, r, 100)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out...)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(got)
	want := "in-0: 1 a\nin-0: 2 b\nc\nin-0: 4 (null)\nin-2: 3 d"
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// A reader's snapshot goes on behind what was returned, also where more had been fetched.
func TestRestore(t *testing.T) {
	b := newBench(t)
	for _, v := range "abcdefghij" {
		b.send("in", 1, `{"v":"`+string(v)+`"}`)
	}
	s := source(b.table("in"), 1)
	e := b.enumerator(s, nil)
	r := b.reader(s, b.env(), b.all(e, 0)...)
	if got := must(t, r, 4); !strings.HasSuffix(got, "d") {
		t.Fatal(got)
	}
	splits, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	saved, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = b.reader(s, b.env(), splits...)
	defer r.Close()
	if got := must(t, r, 6); !strings.HasPrefix(got, "in-1: (null) e") || !strings.HasSuffix(got, "j") {
		t.Error(got)
	}
	if again := b.all(b.enumerator(s, saved), 0); len(again) != 0 {
		t.Errorf("partitions that are with readers are handed out again: %v", again)
	}
	e = b.enumerator(s, saved)
	e.Return(splits)
	if again := b.all(e, 0); len(again) != len(splits) {
		t.Errorf("%d of %d splits came back", len(again), len(splits))
	}
}

// Partitions and topics that appear are read from their beginning; a reader is given them
// while it reads others.
func TestDiscovery(t *testing.T) {
	b := newBench(t)
	s := source(b.table("", "topic-pattern = i.*", "scan.startup.mode = latest-offset", "scan.topic-partition-discovery.interval = 1 ms"), 1)
	b.send("in", 0, `{"k":1}`)
	e := b.enumerator(s, nil)
	r := b.reader(s, b.env(), b.all(e, 0)...)
	defer r.Close()
	if len(r.Splits()) != 3 {
		t.Fatal(r.Splits())
	}
	if _, err := b.admin.CreatePartitions(t.Context(), 1, "in"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.admin.CreateTopic(t.Context(), 1, 1, nil, "inner"); err != nil {
		t.Fatal(err)
	}
	b.send("inner", 0, `{"k":7}`)
	b.client.ForceMetadataRefresh()
	b.send("in", 3, `{"k":8}`)
	var more []connector.Split
	for len(more) < 2 {
		more = append(more, b.all(e, 0)...)
	}
	for _, split := range more {
		if err := r.Add(split); err != nil {
			t.Fatal(err)
		}
	}
	b.send("in", 0, `{"k":9}`)
	got := strings.Split(must(t, r, 3), "\n")
	slices.Sort(got)
	if text := strings.Join(got, "|"); text != "in-0: 9 (null)|in-3: 8 (null)|inner-0: 7 (null)" {
		t.Error(text)
	}
}

// Where reading begins.
func TestStartup(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, `{"k":1}`, `{"k":2}`, `{"k":3}`)
	var group kadm.Offsets
	group.AddOffset("in", 0, 2, -1)
	group.AddOffset("in", 1, 0, -1)
	if err := b.admin.CommitAllOffsets(t.Context(), "g", group); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ options, want string }{
		{"", "1 2 3"},
		{"scan.startup.mode = latest-offset", ""},
		{"scan.startup.mode = timestamp|scan.startup.timestamp-millis = 1", "1 2 3"},
		{"scan.startup.mode = timestamp|scan.startup.timestamp-millis = 99999999999999", ""},
		{"scan.startup.mode = specific-offsets|scan.startup.specific-offsets = partition:0,offset:1;partition:1,offset:0", "2 3"},
		{"scan.startup.mode = group-offsets|properties.group.id = g|properties.auto.offset.reset = earliest", "3"},
		{"scan.bounded.mode = specific-offsets|scan.bounded.specific-offsets = partition:0,offset:2", "1 2"},
		{"scan.startup.mode = group-offsets|properties.group.id = g", "has no offset of partition 2"},
		{"topic = nothing", "UNKNOWN_TOPIC_OR_PARTITION"},
	} {
		options := []string{"scan.bounded.mode = latest-offset"}
		if test.options != "" {
			options = append(options, strings.Split(test.options, "|")...)
		}
		s := source(b.table("in", options...), 1)
		e, err := b.c.Enumerator(t.Context(), s, nil)
		if err != nil {
			if !strings.Contains(err.Error(), test.want) || test.want == "" {
				t.Errorf("%s: %v", test.options, err)
			}
			continue
		}
		r := b.reader(s, b.env(), b.all(e, 0)...)
		got, err := rows(t, r, 100)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i] = strings.Fields(got[i])[1]
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%s: %q, want %q", test.options, text, test.want)
		}
		_, _ = r.Close(), e.Close()
	}
}

// A malformed message fails the reader and is named, or is left out alone, however many
// are decoded with it.
func TestMalformed(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, `{"k":1}`, `{"k":`, `{"k":3}`, ``, `{"k":5}{"k":6}`, `{"k":"x","v":"y"}`, `{"k":8}`)
	s := source(b.table("in", "scan.bounded.mode = latest-offset"), 1)
	env := b.env()
	env.BatchRows = 100
	r := b.reader(s, env, b.all(b.enumerator(s, nil), 0)...)
	_, err := rows(t, r, 100)
	if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "topic in, partition 0, offset 1") {
		t.Errorf("%v", err)
	}
	r.Close()
	for _, option := range []string{"json.ignore-parse-errors = true", "value.json.ignore-parse-errors = true"} {
		s = source(b.table("in", "scan.bounded.mode = latest-offset", option), 1)
		r = b.reader(s, env, b.all(b.enumerator(s, nil), 0)...)
		if got := must(t, r, 100); got != "in-0: 1 (null)\nin-0: 3 (null)\nin-0: (null) y\nin-0: 8 (null)" {
			t.Errorf("%s: got\n%s", option, got)
		}
		r.Close()
	}
}

// CSV with line breaks, bytes as they are, and columns from the key.
func TestFormats(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, "1,a", "2,\"b\nc\"\n")
	s := source(b.table("in", "scan.bounded.mode = latest-offset", "format = csv"), 1)
	r := b.reader(s, b.env(), b.all(b.enumerator(s, nil), 0)...)
	if got := must(t, r, 100); got != "in-0: 1 a\nin-0: 2 b\nc" {
		t.Error(got)
	}
	r.Close()
	for _, m := range []*kgo.Record{{Topic: "out", Key: []byte(`{"k":7}`), Value: []byte("seven")}, {Topic: "out", Key: []byte(`{"k":8}`)}, {Topic: "out", Key: []byte(`{"k":9}`), Value: []byte("")}} {
		if err := b.client.ProduceSync(t.Context(), m).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	table := b.table("out", "scan.bounded.mode = latest-offset", "format = raw", "key.format = json", "key.fields = k", "value.fields-include = EXCEPT_KEY")
	s = source(table, 1)
	s.Columns = s.Columns[:0:0]
	s.Columns = append(s.Columns, table.Schema[1], table.Schema[0])
	r = b.reader(s, b.env(), b.all(b.enumerator(s, nil), 0)...)
	if got := must(t, r, 100); got != "out-0: seven 7\nout-0:  9" {
		t.Errorf("%q", got)
	}
	r.Close()
}

// An offset that is gone is an error, unless the table says where to go on.
func TestOutOfRange(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, `{"k":1}`, `{"k":2}`, `{"k":3}`)
	for reset, want := range map[string]string{
		"none": "offset 0 is not there, only 2 to 3", "earliest": "in-0: 3 (null)", "latest": "",
	} {
		s := source(b.table("in", "scan.startup.mode = specific-offsets", "scan.startup.specific-offsets = partition:0,offset:0",
			"scan.bounded.mode = latest-offset", "properties.auto.offset.reset = "+reset), 1)
		splits := b.all(b.enumerator(s, nil), 0)
		var gone kadm.Offsets
		gone.AddOffset("in", 0, 2, -1)
		if _, err := b.admin.DeleteRecords(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		r := b.reader(s, b.env(), splits...)
		got, err := rows(t, r, 100)
		text := strings.Join(got, "|")
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) || want == "" && text != "" {
			t.Errorf("%s: %s", reset, text)
		}
		r.Close()
	}
}

// A topic that is gone is waited for, then it is an error that names it.
func TestVanished(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, `{"k":1}`)
	s := source(b.table("in"), 1)
	env := b.env()
	var asked atomic.Int64 // each question for the time is a second
	env.Now = func() time.Time { return time.Unix(asked.Add(1), 0) }
	r := b.reader(s, env, b.all(b.enumerator(s, nil), 0)...)
	defer r.Close()
	must(t, r, 1)
	if _, err := b.admin.DeleteTopic(t.Context(), "in"); err != nil {
		t.Fatal(err)
	}
	_, err := rows(t, r, 1)
	if err == nil || !strings.Contains(err.Error(), "topic in has vanished") {
		t.Errorf("%v", err)
	}
}

// Brokers that are away are waited for; once they have been for too long it is an error
// that may go away.
func TestAway(t *testing.T) {
	now := time.Unix(1000, 0)
	a := &away{now: func() time.Time { return now }}
	a.OnBrokerConnect(kgo.BrokerMetadata{}, 0, nil, kerr.BrokerNotAvailable)
	for _, step := range []struct {
		after time.Duration
		read  bool
		fails bool
	}{{patience, false, false}, {time.Second, false, true}, {0, true, false}} {
		now = now.Add(step.after)
		if step.read {
			a.OnBrokerRead(kgo.BrokerMetadata{}, 0, 0, 0, 0, nil)
		}
		err := a.check([]string{"b1"})
		if (err != nil) != step.fails || err != nil && (failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "b1")) {
			t.Errorf("after %v: %v", step.after, err)
		}
	}
}

// Each question of the enumerator fails once: the error says what was asked, and may go
// away.
func TestEnumeratorErrors(t *testing.T) {
	b := newBench(t)
	for key, want := range map[int16]string{
		kmsg.ListOffsets.Int16(): "find earliest-offset of table t", kmsg.OffsetFetch.Int16(): "offsets of group g",
	} {
		mode := "earliest-offset"
		if key == kmsg.OffsetFetch.Int16() {
			mode = "group-offsets"
		}
		b.cluster.ControlKey(key, func(q kmsg.Request) (kmsg.Response, error, bool) {
			b.cluster.KeepControl()
			r := q.ResponseKind()
			switch r := r.(type) {
			case *kmsg.ListOffsetsResponse:
				for _, topic := range q.(*kmsg.ListOffsetsRequest).Topics {
					out := kmsg.ListOffsetsResponseTopic{Topic: topic.Topic}
					for _, p := range topic.Partitions {
						out.Partitions = append(out.Partitions, kmsg.ListOffsetsResponseTopicPartition{Partition: p.Partition, ErrorCode: kerr.TopicAuthorizationFailed.Code})
					}
					r.Topics = append(r.Topics, out)
				}
			case *kmsg.OffsetFetchResponse:
				for _, g := range q.(*kmsg.OffsetFetchRequest).Groups {
					r.Groups = append(r.Groups, kmsg.OffsetFetchResponseGroup{Group: g.Group, ErrorCode: kerr.GroupAuthorizationFailed.Code})
				}
				r.ErrorCode = kerr.GroupAuthorizationFailed.Code
			}
			return r, nil, true
		})
		s := source(b.table("in", "scan.startup.mode = "+mode, "properties.group.id = g"), 1)
		_, err := b.c.Enumerator(t.Context(), s, nil)
		if err == nil || !strings.Contains(err.Error(), want) || failure.Of(err) != failure.Fatal {
			t.Errorf("%d: %v", key, err)
		}
		b.cluster.ControlKey(key, func(kmsg.Request) (kmsg.Response, error, bool) { b.cluster.DropControl(); return nil, nil, false })
	}
}

// Paused partitions give nothing, and go on where they were.
func TestPause(t *testing.T) {
	b := newBench(t)
	s := source(b.table("in"), 1)
	r := b.reader(s, b.env(), b.all(b.enumerator(s, nil), 0)...)
	defer r.Close()
	r.Pause(map[string]bool{"in-0": true})
	b.send("in", 0, `{"k":1}`)
	b.send("in", 1, `{"k":2}`)
	if got := must(t, r, 1); got != "in-1: 2 (null)" {
		t.Error(got)
	}
	r.Pause(nil)
	if got := must(t, r, 1); got != "in-0: 1 (null)" {
		t.Error(got)
	}
}

// account counts what is charged, and refuses more than most.
type account struct{ used, most int64 }

func (a *account) Grow(n int64) error {
	if a.used+n > a.most {
		return errors.New("no memory")
	}
	a.used += n
	return nil
}

func (a *account) Shrink(n int64) { a.used -= n }

// What is fetched is charged until it is decoded, and all of it is given back; without the
// memory there is no reader and no writer.
func TestMemory(t *testing.T) {
	b := newBench(t)
	b.send("in", 0, `{"k":1}`, `{"k":2}`, `{"k":3}`, `{"k":4}`, `{"k":5}`)
	s := source(b.table("in", "properties.fetch.max.bytes = 1024"), 1)
	for _, most := range []int64{1000, 2048 + recordBytes, 1 << 20} {
		a := &account{most: most}
		env := b.env()
		env.Account = a
		reading, err := b.c.Reader(t.Context(), s, env)
		if (err != nil) != (most < 2048) {
			t.Fatal(err)
		}
		if err != nil {
			continue
		}
		r := reading.(*reader)
		for _, split := range b.all(b.enumerator(s, nil), 0) {
			if err := r.Add(split); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := rows(t, r, 4); (err != nil) != (most < 1<<20) {
			t.Errorf("%d bytes: %v", most, err)
		} else if err == nil && a.used <= 2048 {
			t.Errorf("a message in hand is not charged: %d", a.used)
		}
		if err := r.Close(); err != nil || a.used != 0 {
			t.Errorf("%v, %d bytes are left", err, a.used)
		}
	}
	a := &account{most: sendBytes - 1}
	if _, err := b.c.Writer(t.Context(), b.sink(b.table("out")), connector.WriterEnv{Alloc: b.alloc, Account: a}); err == nil || a.used != 0 {
		t.Errorf("%v, %d bytes", err, a.used)
	}
	a.most++
	w, err := b.c.Writer(t.Context(), b.sink(b.table("out")), connector.WriterEnv{Alloc: b.alloc, Account: a})
	if err != nil || a.used != sendBytes {
		t.Fatalf("%v, %d bytes", err, a.used)
	}
	b.close(w)
	if a.used != 0 {
		t.Errorf("%d bytes are left", a.used)
	}
}
