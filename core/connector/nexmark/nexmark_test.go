package nexmark

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

// narrow leaves the wanted columns, "bid" or fields of one, "bid.price".
func narrow(names ...string) datatype.Schema {
	var out datatype.Schema
	for _, name := range names {
		column, part, nested := strings.Cut(name, ".")
		f := Schema()[Schema().Index(column)]
		if nested {
			part := f.Type.Fields[datatype.Schema(f.Type.Fields).Index(part)]
			if at := out.Index(column); at >= 0 {
				out[at].Type.Fields = append(out[at].Type.Fields, part)
				continue
			}
			f.Type.Fields = []datatype.Field{part}
		}
		out = append(out, f)
	}
	return out
}

func spec(parallelism int, options string, columns ...string) connector.SourceSpec {
	t := connector.Table{Name: "n", Options: map[string]string{"connector": Name}}
	for _, o := range strings.Fields(options) {
		key, value, _ := strings.Cut(o, "=")
		t.Options[key] = value
	}
	s := connector.SourceSpec{Table: t, Columns: Schema(), Parallelism: parallelism}
	if len(columns) > 0 {
		s.Columns = narrow(columns...)
	}
	return s
}

func open(t testing.TB, s connector.SourceSpec, mem memory.Allocator, rows int, splits ...connector.Split) connector.Reader {
	t.Helper()
	r, err := Connector{}.Reader(t.Context(), s, connector.ReaderEnv{Alloc: mem, BatchRows: rows, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range splits {
		if err := r.Add(split); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func printed(b *stream.Batch, s datatype.Schema) (rows []string) {
	for i := range b.PhysicalRows() {
		var text []byte
		for c, f := range s {
			if c > 0 {
				text = append(text, ' ')
			}
			text = datatype.AppendText(text, b.Column(c), i, f.Type, time.UTC)
		}
		rows = append(rows, string(text))
	}
	return rows
}

// drain reads at most so many batches, until there are none.
func drain(t testing.TB, r connector.Reader, s datatype.Schema, limit int) (rows []string) {
	t.Helper()
	for range limit {
		b, wait, err := r.Poll(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			if wait != connector.ForSplit {
				t.Fatalf("waits %v without a rate", wait)
			}
			return rows
		}
		rows = append(rows, printed(b, s)...)
		b.Release()
	}
	return rows
}

func splits(t testing.TB, s connector.SourceSpec) (all []connector.Split) {
	t.Helper()
	e, err := Connector{}.Enumerator(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		split, ok, err := e.Next(t.Context(), len(all))
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, split)
	}
}

// all reads a whole table in one go.
func all(t testing.TB, s connector.SourceSpec) []string {
	t.Helper()
	r := open(t, s, memory.DefaultAllocator, 8192, splits(t, s)...)
	defer r.Close()
	return drain(t, r, s.Columns, math.MaxInt)
}

// The first 60 events, and the first three of each kind later on, never change: what
// others have computed of them stays right. TIDEMILL_REWRITE=1 writes them anew.
func TestGolden(t *testing.T) {
	const file = "testdata/events.txt"
	rows := append(all(t, spec(1, "events.num=60")), all(t, spec(1, "events.num=7 first-event-id=5000000 event-rate=777 out-of-order.fraction=0.5 bidder-id.compat=true"))...)
	got := strings.Join(rows, "\n") + "\n"
	if os.Getenv("TIDEMILL_REWRITE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("events are others than in %s:\n%s", file, got)
	}
}

// Any parallelism, any size of batches and a restart at any position give the same rows.
func TestSameRowsHoweverRead(t *testing.T) {
	const options = "events.num=500 first-event-id=17 out-of-order.fraction=0.1"
	want := all(t, spec(1, options))
	if len(want) != 500 {
		t.Fatalf("%d rows", len(want))
	}
	for _, parallelism := range []int{1, 3} {
		for _, batch := range []int{1, 7, 100} {
			mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
			s := spec(parallelism, options)
			readers := make([]connector.Reader, parallelism)
			for i := range readers {
				readers[i] = open(t, s, mem, batch)
			}
			var got []string
			for i, split := range splits(t, s) {
				at := i % parallelism
				if err := readers[at].Add(split); err != nil {
					t.Fatal(err)
				}
				got = append(got, drain(t, readers[at], s.Columns, 1+i%3)...)
				left, err := readers[at].Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				readers[at].Close()
				readers[at] = open(t, s, mem, batch, left...)
			}
			for _, r := range readers {
				got = append(got, drain(t, r, s.Columns, math.MaxInt)...)
				r.Close()
			}
			if !slices.Equal(sorted(got), sorted(want)) {
				t.Errorf("parallelism %d, batches of %d: other rows", parallelism, batch)
			}
			mem.AssertSize(t, 0)
		}
	}
}

func sorted(rows []string) []string { return slices.Sorted(slices.Values(rows)) }

// Stopped behind every batch of every size, the rest follows from where it was.
func TestRestartAtEveryPosition(t *testing.T) {
	s := spec(1, "events.num=60", "event_type", "bid.price", "auction.id")
	want := all(t, s)
	for stop := range 61 {
		r := open(t, s, memory.DefaultAllocator, 1, splits(t, s)...)
		got := drain(t, r, s.Columns, stop)
		left, err := r.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		r = open(t, s, memory.DefaultAllocator, 8, left...)
		got = append(got, drain(t, r, s.Columns, math.MaxInt)...)
		r.Close()
		if !slices.Equal(got, want) {
			t.Fatalf("stopped after %d events: other rows", stop)
		}
	}
}

// Fields and kinds that are asked for are as they are where all is asked for.
func TestWantedPartsAreTheSame(t *testing.T) {
	const options = "events.num=1000"
	whole := all(t, spec(1, options))
	two := predicate.Compare(predicate.Eq, "event_type", int64(bid))
	s := spec(1, options)
	s.Predicate = &two
	want := slices.DeleteFunc(slices.Clone(whole), func(row string) bool { return row[0] != '2' })
	if got := all(t, s); !slices.Equal(got, want) || len(got) != 920 {
		t.Errorf("%d bids, which differ from those of all events", len(got))
	}
	for _, column := range Schema()[1:] {
		for i, f := range column.Type.Fields {
			s := spec(1, options, column.Name+"."+f.Name)
			full := spec(1, options, column.Name)
			compareField(t, s, full, i)
		}
	}
}

func compareField(t *testing.T, narrowed, full connector.SourceSpec, at int) {
	t.Helper()
	a, b := open(t, narrowed, memory.DefaultAllocator, 5000, splits(t, narrowed)...), open(t, full, memory.DefaultAllocator, 5000, splits(t, full)...)
	defer a.Close()
	defer b.Close()
	x, _, err := a.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	y, _, err := b.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer y.Release()
	if !array.Equal(x.Column(0).(*array.Struct).Field(0), y.Column(0).(*array.Struct).Field(at)) {
		t.Errorf("%s: not as in the whole row", narrowed.Columns)
	}
}

// The shares, averages and bounds of the reference generator.
func TestDistributions(t *testing.T) {
	const n = 100_000
	s := spec(1, fmt.Sprintf("events.num=%d first-event-id=1000000", n))
	r := open(t, s, memory.DefaultAllocator, 1<<20, splits(t, s)...)
	defer r.Close()
	var kinds [3]int
	sum := map[string]float64{}
	for {
		b, _, err := r.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		count(b, &kinds, sum)
		b.Release()
	}
	if kinds != [3]int{n / 50, n * 3 / 50, n * 46 / 50} {
		t.Errorf("kinds %v", kinds)
	}
	people, auctions, bids := float64(kinds[0]), float64(kinds[1]), float64(kinds[2])
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"hot auctions", sum["hot auction"] / bids, 0.5 + 0.5/111*1.5},
		{"hot bidders", sum["hot bidder"] / bids, 0.75},
		{"hot sellers", sum["hot seller"] / auctions, 0.75},
		{"hot channels", sum["hot channel"] / bids, 0.5},
		{"channel ids", sum["channel id"] / bids, 0.45},
		{"log of prices", sum["log price"] / bids, 5},
		{"category", sum["category"] / auctions, 12},
		{"bid size", sum["bid size"] / bids, 68},
		{"auction size", sum["auction size"] / auctions, 500},
		{"person size", sum["person size"] / people, 200},
		{"life of auctions", sum["life"] / auctions, 1 + 2*100*50/3*0.1/2},
	} {
		if math.Abs(c.got-c.want) > 0.03*c.want {
			t.Errorf("%s: %.3f, want %.3f", c.name, c.got, c.want)
		}
	}
}

func count(b *stream.Batch, kinds *[3]int, sum map[string]float64) {
	schema := Schema()
	column := func(row string) *array.Struct {
		return b.Column(schema.Index(row)).(*array.Struct)
	}
	number := func(row, name string, i int) int64 {
		at := datatype.Schema(schema[schema.Index(row)].Type.Fields).Index(name)
		switch v := column(row).Field(at).(type) {
		case *array.Int64:
			return v.Value(i)
		case *array.Timestamp:
			return int64(v.Value(i))
		}
		return 0
	}
	text := func(row, name string, i int) string {
		at := datatype.Schema(schema[schema.Index(row)].Type.Fields).Index(name)
		return column(row).Field(at).(*array.String).Value(i)
	}
	add := func(name string, is bool) {
		if is {
			sum[name]++
		}
	}
	for i := range b.PhysicalRows() {
		k := b.Column(0).(*array.Int32).Value(i)
		kinds[k]++
		switch k {
		case bid:
			add("hot auction", number("bid", "auction", i)%100 == 0)
			add("hot bidder", number("bid", "bidder", i)%100 == 1)
			add("hot channel", !strings.HasPrefix(text("bid", "channel", i), "channel-"))
			add("channel id", strings.Contains(text("bid", "url", i), "&channel_id="))
			sum["log price"] += math.Log10(float64(number("bid", "price", i)))
			sum["bid size"] += float64(len(text("bid", "extra", i)))
		case auction:
			add("hot seller", number("auction", "seller", i)%100 == 0)
			sum["category"] += float64(number("auction", "category", i))
			sum["auction size"] += float64(auctionNumbers + len(text("auction", "itemName", i)+text("auction", "description", i)+text("auction", "extra", i)))
			sum["life"] += float64(number("auction", "expires", i) - number("auction", "dateTime", i))
		case person:
			size := 8
			for _, f := range []string{"name", "emailAddress", "creditCard", "city", "state", "extra"} {
				size += len(text("person", f, i))
			}
			sum["person size"] += float64(size)
		}
	}
}

// A rate is one of all subtasks together, and a sleeping reader wakes up when the next
// event is due.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := spec(2, "tps=1000", "event_type")
		e, err := Connector{}.Enumerator(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, s, memory.DefaultAllocator, 4096)
		defer r.Close()
		rows, start := 0, time.Now()
		for time.Since(start) < 5*time.Second {
			b, wait, err := r.Poll(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case b != nil:
				rows += b.Len()
				b.Release()
			case wait == connector.ForData:
				<-r.Ready()
			default:
				if r.(connector.EarlyReader).Early() {
					t.Fatal("takes splits before they are due")
				}
				split, _, err := e.Next(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Add(split); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rows < 4980 || rows > 5020 {
			t.Errorf("%d rows in 5 s at 1000/s", rows)
		}
	})
}

func TestEnumeratorRestores(t *testing.T) {
	s := spec(2, "events.num=200 base-time=now")
	whole := splits(t, s)
	e, err := Connector{}.Enumerator(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := e.Next(t.Context(), 0)
	second, _, _ := e.Next(t.Context(), 1)
	e.Return([]connector.Split{second})
	e.Return([]connector.Split{first})
	saved, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if e, err = (Connector{}).Enumerator(t.Context(), s, saved); err != nil {
		t.Fatal(err)
	}
	var base int64
	for i := range whole {
		split, ok, err := e.Next(t.Context(), 0)
		if err != nil || !ok || split.ID != whole[i].ID {
			t.Fatalf("split %d: %s, %t, %v", i, split.ID, ok, err)
		}
		at, err := parseSpan(split)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && at.Base != base {
			t.Fatal("now is another time after a restart")
		}
		base = at.Base
	}
	if _, ok, _ := e.Next(t.Context(), 0); ok {
		t.Fatal("a split too many")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRefuses(t *testing.T) {
	for options, want := range map[string]string{
		"event-rat=1":                              "did you mean 'event-rate'?",
		"tps=many":                                 `"many" is not a whole number`,
		"event-rate=1 next-event.rate=2":           "the rate is the same for all events",
		"base-time=soon":                           `"soon" is not a time`,
		"out-of-order.fraction=2":                  "is not a number from 0 to 1",
		"out-of-order.delay=1y":                    "is not a time from 1 ms",
		"bidder-id.compat=maybe":                   "is not true or false",
		"person.proportion=0":                      "neither may be 0",
		"auction.hot-ratio=0":                      "is not a whole number from 1",
		"events.num=-1":                            "is not a whole number from 0",
		"first-event-id=999999999999999999999":     "is not a whole number",
		"events.num=5 bid.avg-size=99999999999999": "is not a whole number",
	} {
		_, err := Connector{}.Describe(t.Context(), spec(1, options).Table, nil)
		if err == nil || !strings.Contains(err.Error(), want) || failure.Of(err) != failure.InvalidSQL {
			t.Errorf("%s: got %v, want %q", options, err, want)
		}
	}
	for text, want := range map[string]string{
		"event_type BIGINT":              "the type must be INT",
		"bids ROW<a INT>":                "there is no column bids",
		"bid ROW<cost BIGINT>":           "there is no field cost",
		"bid ROW<price BIGINT> NOT NULL": "cannot be NOT NULL",
		"bid ROW<price INT>":             "the type must be BIGINT",
	} {
		name, kind, _ := strings.Cut(text, " ")
		of, err := datatype.Parse(kind)
		if err != nil {
			t.Fatal(err)
		}
		table := connector.Table{Name: "n", Schema: datatype.Schema{{Name: name, Type: of}}}
		if err := (Connector{}).CheckOptions(table); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := (Connector{}).Writer(t.Context(), connector.SinkSpec{}, connector.WriterEnv{}); err == nil {
		t.Error("accepted a writer")
	}
	if _, err := (Connector{}).Committer(t.Context(), connector.SinkSpec{}); err == nil {
		t.Error("accepted a committer")
	}
	for _, data := range []string{"", "x", `{"First":5,"Next":4,"End":9}`} {
		if err := open(t, spec(1, ""), memory.DefaultAllocator, 1).Add(connector.Split{Data: []byte(data)}); err == nil {
			t.Errorf("accepted the split %q", data)
		}
	}
	if _, err := (Connector{}).Enumerator(t.Context(), spec(1, ""), []byte("x")); err == nil {
		t.Error("accepted a damaged snapshot")
	}
}

func TestDescribe(t *testing.T) {
	people := predicate.Compare(predicate.Eq, "event_type", int64(person))
	d, err := Connector{}.Describe(t.Context(), spec(1, "events.num=5000").Table, &people)
	if err != nil || !d.Bounded || d.Rows != 100 || !d.Schema.Equal(Schema()) {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err = (Connector{}).Describe(t.Context(), spec(1, "").Table, nil); err != nil || d.Bounded || d.Rows != -1 {
		t.Errorf("%+v, %v", d, err)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name    string
		columns []string
	}{
		{"all", nil},
		{"bids", []string{"event_type", "bid"}},
		{"narrow", []string{"event_type", "bid.auction", "bid.bidder", "bid.price", "bid.dateTime"}},
		{"price", []string{"bid.price"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := spec(1, "events.num=1000000", c.columns...)
			todo := splits(b, s)
			b.ReportAllocs()
			for b.Loop() {
				r := open(b, s, memory.NewGoAllocator(), 8192, todo...)
				for {
					batch, _, err := r.Poll(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					if batch == nil {
						break
					}
					batch.Release()
				}
				r.Close()
			}
			b.ReportMetric(float64(b.N)*1e6/b.Elapsed().Seconds()/1e6, "Mevents/s")
		})
	}
}
