package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// upserts is a table of upsert-kafka by k, over the bench's topic, up to its end.
func (b *bench) upserts(options ...string) connector.Table {
	t := b.table(b.out, append([]string{"scan.startup.mode = ", "scan.bounded.mode = latest-offset", "key.format = json"}, options...)...)
	t.PrimaryKey = []string{"k"}
	t.Schema = slices.Clone(t.Schema)
	t.Schema[0].Type.Nullable = false
	return t
}

// sendPair appends a message of key=value to partition 0; - stands for none.
func (b *bench) sendPair(pairs ...string) {
	b.t.Helper()
	bytes := func(text string) []byte {
		if text == "-" {
			return nil
		}
		return []byte(text)
	}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		r := &kgo.Record{Topic: b.out, Key: bytes(key), Value: bytes(value)}
		if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// changes reads a table to its end, with the kinds of rows; an error is the last of them.
func (b *bench) changes(t connector.Table, env connector.ReaderEnv) (out []string) {
	b.t.Helper()
	s := source(t, 1)
	e, err := b.u.Enumerator(b.t.Context(), s, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer e.Close()
	reading, err := b.u.Reader(b.t.Context(), s, env)
	if err != nil {
		b.t.Fatal(err)
	}
	defer reading.Close()
	for _, split := range b.all(e, 0) {
		if err := reading.Add(split); err != nil {
			b.t.Fatal(err)
		}
	}
	for {
		batch, wait, err := reading.Poll(b.t.Context())
		switch {
		case err != nil:
			return append(out, err.Error())
		case batch != nil:
			for i := range batch.Len() {
				out = append(out, fmt.Sprint(batch.Kind(i), " ", batch.Column(0).ValueStr(i), " ", batch.Column(1).ValueStr(i)))
			}
			batch.Release()
		case wait == connector.ForSplit:
			return out
		default:
			<-reading.Ready()
		}
	}
}

// A message with a value is the row of its key, one without it a delete, whatever is decoded
// together; the key is that of the message, also where the value says another one.
func TestUpsertSource(t *testing.T) { upsertSourceTest(t, newBench(t)) }

func upsertSourceTest(t *testing.T, b *bench) {
	b.sendPair(`{"k":1}={"v":"a"}`, `{"k":2}=-`, `{"k":1}=-`, `{"k":3}={"k":7,"v":"c"}`, `{"k":3}={"k":3}`, `{"k":4}=-`, `{"k":4}={"v":"d"}`)
	want := "+U 1 a, -D 2 (null), -D 1 (null), +U 3 c, +U 3 (null), -D 4 (null), +U 4 d"
	for _, include := range []string{"ALL", "EXCEPT_KEY"} {
		for _, rows := range []int{1, 2, 100} {
			env := b.env()
			env.BatchRows = rows
			if got := strings.Join(b.changes(b.upserts("value.fields-include = "+include), env), ", "); got != want {
				t.Errorf("%s, batches of %d: got %s", include, rows, got)
			}
		}
	}
	known, err := b.u.Describe(t.Context(), b.upserts(), nil)
	if err != nil || known.Changes != connector.Upserts || !known.Bounded {
		t.Errorf("%+v, %v", known, err)
	}
	if known, err = b.c.Describe(t.Context(), b.table("in"), nil); err != nil || known.Changes != connector.Inserts {
		t.Errorf("%+v, %v", known, err)
	}
}

// A message whose key is no primary key is malformed, with a value or without; it fails the
// reader, is left out alone, or is told of, with its key where there is no value.
func TestUpsertMalformed(t *testing.T) { upsertMalformedTest(t, newBench(t)) }

func upsertMalformedTest(t *testing.T, b *bench) {
	b.sendPair(`{"k":1}={"v":"a"}`, `-={"v":"b"}`, `{"k":null}={"v":"c"}`, `{}=-`, `{"k":=-`, `{"k":2}={"v":`, `{"k":3}=-`, `-=-`)
	alone := b.env()
	alone.BatchRows = 1
	got := b.changes(b.upserts(), alone)
	if len(got) != 2 || got[0] != "+U 1 a" || got[1] != "topic "+b.out+", partition 0, offset 1: the message has no key, which is the row's primary key" {
		t.Errorf("%q", got)
	}
	for _, option := range []string{"json.ignore-parse-errors = true", "value.json.ignore-parse-errors = true"} {
		if got := strings.Join(b.changes(b.upserts(option), b.env()), ", "); got != "+U 1 a, -D 3 (null)" {
			t.Errorf("%s: %s", option, got)
		}
	}
	var rejected []string
	env := b.env()
	env.Reject = func(r connector.Rejected) { rejected = append(rejected, fmt.Sprintf("%s|%s", r.Place, r.Data)) }
	if got := strings.Join(b.changes(b.upserts(), env), ", "); got != "+U 1 a, -D 3 (null)" {
		t.Errorf("with rejects: %s", got)
	}
	want := []string{`1|{"v":"b"}`, `2|{"v":"c"}`, `3|{}`, `4|{"k":`, `5|{"v":`, `7|`}
	for i := range want {
		want[i] = "topic " + b.out + ", partition 0, offset " + want[i]
	}
	if !slices.Equal(rejected, want) {
		t.Errorf("rejected %q", rejected)
	}
}

// Where reading begins is not to be said; a primary key and its format are.
func TestUpsertOptions(t *testing.T) {
	b := newBench(t)
	for option, want := range map[string]string{
		"scan.startup.mode = earliest-offset":                       "option 'scan.startup.mode': connector upsert-kafka reads a topic from its beginning",
		"scan.startup.timestamp-millis = 1":                         "option 'scan.startup.timestamp-millis': connector upsert-kafka",
		"key.format = ":                                             "option 'key.format' is missing",
		"key.fields = k":                                            "the primary key is the key",
		"scan.bounded.mode = group-offsets":                         "'properties.group.id' is missing",
		"scan.bounded.mode = specific-offsets|format = json":        "goes with",
		"scan.bounded.mode = timestamp":                             "goes with",
		"scan.watermark.alignment.group = g|sink.partitioner = all": "go together",
	} {
		table := b.upserts(strings.Split(option, "|")...)
		err := b.u.CheckOptions(table)
		if err == nil {
			_, err = b.u.Reader(t.Context(), source(table, 1), b.env())
		}
		if failure.Of(err) != failure.InvalidSQL || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", option, err)
		}
	}
	table := b.upserts()
	table.PrimaryKey = nil
	if err := b.u.CheckOptions(table); err == nil || !strings.Contains(err.Error(), "needs a table with a PRIMARY KEY") {
		t.Errorf("%v", err)
	}
}
