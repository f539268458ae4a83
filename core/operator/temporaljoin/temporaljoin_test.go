package temporaljoin_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/temporaljoin"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	ordersSchema = "id BIGINT, cur STRING, ts TIMESTAMP(3)"
	ratesSchema  = "cur STRING, rate BIGINT, since TIMESTAMP(6)"
	outSchema    = ordersSchema + ", rcur STRING, rate BIGINT, since TIMESTAMP(6)"
)

func spec(outer bool) *jobgraph.TemporalJoin {
	s := &jobgraph.TemporalJoin{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{1}, RightKeys: []uint32{0}, LeftTime: 2, RightTime: 2}
	if outer {
		s.Type = jobgraph.JoinType_JOIN_LEFT
	}
	return s
}

func makes(s *jobgraph.TemporalJoin) func() (operator.Operator, error) {
	return func() (operator.Operator, error) {
		return temporaljoin.New(s, operatortest.ParseSchema(ordersSchema), operatortest.ParseSchema(ratesSchema), temporaljoin.Deps{Functions: function.Builtins()})
	}
}

func backend(alloc memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, alloc, account), nil
}

// run checks a case with keyed state and with the operator's own.
func run(t *testing.T, c operatortest.Case) {
	t.Helper()
	c.Output = operatortest.ParseSchema(outSchema)
	own := c
	operatortest.Run(t, own)
	c.Stateful, c.Backend = true, backend
	operatortest.Run(t, c)
}

const orders = ordersSchema + `
1 | EUR | 1970-01-01 00:00:01
2 | EUR | 1970-01-01 00:00:05
3 | USD | 1970-01-01 00:00:05
4 | NULL | 1970-01-01 00:00:05
5 | EUR | NULL
watermark 4000
6 | EUR | 1970-01-01 00:00:12
7 | EUR | 1970-01-01 00:00:09.999
watermark 11000
8 | EUR | 1970-01-01 00:00:20
9 | GBP | 1970-01-01 00:00:20
10 | USD | 1970-01-01 00:00:30
watermark 40000`

const rates = ratesSchema + `
EUR | 100 | 1970-01-01 00:00:02
USD | 50 | 1970-01-01 00:00:05
NULL | 1 | 1970-01-01 00:00:05
watermark 3000
EUR | 101 | 1970-01-01 00:00:10
-U EUR | 101 | 1970-01-01 00:00:11
+U EUR | 102 | 1970-01-01 00:00:10
-D USD | 50 | 1970-01-01 00:00:15
watermark 12000
-D EUR | 102 | 1970-01-01 00:00:15
+I EUR | 103 | 1970-01-01 00:00:18
watermark 40000`

// A row has the last version that is not after it, to the microsecond; of one time the
// last one to come; none before the first, after a delete, without a key or a time.
func TestVersions(t *testing.T) {
	want := `2 | EUR | 1970-01-01 00:00:05 | EUR | 100 | 1970-01-01 00:00:02
3 | USD | 1970-01-01 00:00:05 | USD | 50 | 1970-01-01 00:00:05
6 | EUR | 1970-01-01 00:00:12 | EUR | 102 | 1970-01-01 00:00:10
7 | EUR | 1970-01-01 00:00:09.999 | EUR | 100 | 1970-01-01 00:00:02
8 | EUR | 1970-01-01 00:00:20 | EUR | 103 | 1970-01-01 00:00:18`
	lonely := `
1 | EUR | 1970-01-01 00:00:01 | NULL | NULL | NULL
4 | NULL | 1970-01-01 00:00:05 | NULL | NULL | NULL
5 | EUR | NULL | NULL | NULL | NULL
9 | GBP | 1970-01-01 00:00:20 | NULL | NULL | NULL
10 | USD | 1970-01-01 00:00:30 | NULL | NULL | NULL`
	in := []operatortest.Table{operatortest.Parse(orders), operatortest.Parse(rates)}
	t.Run("inner", func(t *testing.T) { run(t, operatortest.Case{New: makes(spec(false)), Inputs: in, Want: want}) })
	t.Run("left", func(t *testing.T) { run(t, operatortest.Case{New: makes(spec(true)), Inputs: in, Want: want + lonely}) })
}

// id < rate decides whether the version counts, not which one it is.
func residual() *jobgraph.TemporalJoin {
	s := spec(true)
	bigint := datatype.Of(datatype.BigInt)
	s.Residual = expr.ToProto(&expr.Call{Function: "<", T: datatype.Of(datatype.Boolean), Args: []expr.Expr{
		&expr.Column{Index: 0, Name: "id", T: bigint}, &expr.Column{Index: 4, Name: "rate", T: bigint},
	}})
	return s
}

// Random rows and versions, ahead of random watermarks, give what a search of all
// versions finds.
func TestRandom(t *testing.T) {
	for name, s := range map[string]*jobgraph.TemporalJoin{"inner": spec(false), "left": spec(true), "residual": residual()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, operatortest.Case{
				New: makes(s), Inputs: []operatortest.Table{random(1, ordersSchema, false), random(2, ratesSchema, true)},
				Twin: func(in [][][]any) [][]any { return search(s, in[0], in[1]) },
			})
		})
	}
}

// random is rows of few keys whose times, all different, are up to 2 s ahead of watermarks.
func random(seed uint64, schema string, versions bool) operatortest.Table {
	r := rand.New(rand.NewPCG(seed, 3))
	t := operatortest.Table{Schema: operatortest.ParseSchema(schema)}
	now := int64(0)
	used := map[int64]bool{}
	for i := range 14 {
		if r.IntN(4) == 0 {
			now += r.Int64N(1500)
			t.Steps = append(t.Steps, operatortest.Step{Watermark: stream.Watermark(now)})
		}
		at := now + 1 + r.Int64N(2000)
		for used[at] {
			at++
		}
		used[at] = true
		key := []any{"EUR", "USD", "a key that is longer than sixteen"}[r.IntN(3)]
		row := []any{int64(i), key, at}
		if versions {
			row = []any{key, r.Int64N(14), at * 1000}
		}
		t.Steps = append(t.Steps, operatortest.Step{Row: row})
	}
	return t
}

func search(s *jobgraph.TemporalJoin, rows, versions [][]any) (out [][]any) {
	for _, row := range rows {
		var best []any
		for _, v := range versions {
			if row[1] == nil || row[2] == nil || v[0] != row[1] || v[2] == nil || v[2].(int64) > row[2].(int64)*1000 {
				continue
			}
			if best == nil || v[2].(int64) > best[2].(int64) {
				best = v
			}
		}
		if best != nil && s.Residual != nil && (row[0] == nil || best[1] == nil || row[0].(int64) >= best[1].(int64)) {
			best = nil
		}
		if best == nil {
			if s.Type == jobgraph.JoinType_JOIN_INNER {
				continue
			}
			best = []any{nil, nil, nil}
		}
		out = append(out, append(append([]any{}, row...), best...))
	}
	return out
}

// A late row has the version that is left, if that is not after it; a late version
// counts if it is newer than that one.
func TestLate(t *testing.T) {
	op := open(t, spec(true), nil)
	op.feed(1, ratesSchema+"\nEUR | 1 | 1970-01-01 00:00:01\nEUR | 2 | 1970-01-01 00:00:03")
	op.watermark(5000)
	op.feed(0, ordersSchema+"\n1 | EUR | 1970-01-01 00:00:02\n2 | EUR | 1970-01-01 00:00:04")
	op.feed(1, ratesSchema+"\nEUR | 9 | 1970-01-01 00:00:02.5")
	op.watermark(6000)
	op.feed(1, ratesSchema+"\nEUR | 3 | 1970-01-01 00:00:03.5")
	op.feed(0, ordersSchema+"\n3 | EUR | 1970-01-01 00:00:05")
	op.watermark(7000)
	op.want(`1 | EUR | 1970-01-01 00:00:02 | NULL | NULL | NULL
2 | EUR | 1970-01-01 00:00:04 | EUR | 2 | 1970-01-01 00:00:03
3 | EUR | 1970-01-01 00:00:05 | EUR | 3 | 1970-01-01 00:00:03.5`)
}

// However many rows and versions there were, what is kept behind the watermark is a
// version a key.
func TestStateIsBounded(t *testing.T) {
	kept, err := backend(memory.NewGoAllocator(), &counted{})
	if err != nil {
		t.Fatal(err)
	}
	op := open(t, spec(false), kept)
	for i := range 50 {
		at := i * 1000
		text := ""
		for k := range 3 {
			text += fmt.Sprintf("\n%c | %d | 1970-01-01 00:00:%02d.%03d", 'a'+k, i, i, k)
		}
		op.feed(1, ratesSchema+text)
		op.feed(0, ordersSchema+fmt.Sprintf("\n%d | a | 1970-01-01 00:00:%02d", i, i))
		op.watermark(at)
	}
	op.feed(1, ratesSchema+"\n-D c | 0 | 1970-01-01 00:00:50\nb | 51 | 1970-01-01 00:00:51\nb | 99 | 1970-01-01 00:01:59")
	op.watermark(60_000)
	if rows := count(t, kept); rows["left rows"] != 0 || rows["right rows"] != 3 {
		t.Errorf("kept: %v, want a version of a, two of b and none of c", rows)
	}
}

// count is the rows of lists in a backend.
func count(t *testing.T, b state.Backend) map[string]int64 {
	t.Helper()
	snap, err := b.Snapshot(state.Everything)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	if err := state.Complete(snap); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	if err := snap.Write(t.Context(), func(p state.Piece) error {
		if p.Kind == state.PutRow {
			rows[p.Table.Name] += p.Rows.NumRows()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// manual is a join that a test drives by hand.
type manual struct {
	t   *testing.T
	op  operator.Operator
	mem *memory.CheckedAllocator
	out []string
}

func open(t *testing.T, s *jobgraph.TemporalJoin, kept state.Backend) *manual {
	t.Helper()
	op, err := makes(s)()
	if err != nil {
		t.Fatal(err)
	}
	m := &manual{t: t, op: op, mem: memory.NewCheckedAllocator(memory.NewGoAllocator())}
	if err := op.Open(&operator.Context{
		Context: context.Background(), Output: m, State: kept, Memory: &counted{}, Alloc: m.mem, BatchRows: 16, Log: slog.New(slog.DiscardHandler),
		Contend: func() *ledger.Share { return nil },
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := op.Close(); err != nil {
			t.Error(err)
		}
		m.mem.AssertSize(t, 0)
	})
	return m
}

func (m *manual) feed(input int, text string) {
	m.t.Helper()
	if err := m.try(input, text); err != nil {
		m.t.Fatal(err)
	}
}

func (m *manual) try(input int, text string) error {
	in := operatortest.Parse(text)
	var rows [][]any
	var kinds []stream.RowKind
	for _, s := range in.Steps {
		rows, kinds = append(rows, s.Row), append(kinds, s.Kind)
	}
	b := stream.NewBatch(operatortest.Record(m.mem, in.Schema, rows))
	b.Kinds = kinds
	return m.op.Process(input, b)
}

func (m *manual) watermark(w int) {
	m.t.Helper()
	if err := m.op.Watermark(stream.Watermark(w)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *manual) Emit(b *stream.Batch) error {
	defer b.Release()
	for _, row := range operatortest.ReadRows(b) {
		m.out = append(m.out, operatortest.FormatRow(operatortest.ParseSchema(outSchema), row))
	}
	return nil
}

func (m *manual) want(text string) {
	m.t.Helper()
	if got := strings.Join(m.out, "\n"); got != text {
		m.t.Errorf("got\n%s\nwant\n%s", got, text)
	}
}

type counted struct{ used int64 }

func (c *counted) Grow(n int64) error { c.used += n; return nil }
func (c *counted) Shrink(n int64)     { c.used -= n }

func TestLeftRowsAreNotTakenBack(t *testing.T) {
	m := open(t, spec(false), nil)
	if err := m.try(0, ordersSchema+"\n-D 1 | EUR | 1970-01-01 00:00:01"); err == nil || !strings.Contains(err.Error(), "takes rows back") {
		t.Errorf("%v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(s *jobgraph.TemporalJoin){
		"type":          func(s *jobgraph.TemporalJoin) { s.Type = jobgraph.JoinType_JOIN_FULL },
		"no keys":       func(s *jobgraph.TemporalJoin) { s.LeftKeys, s.RightKeys = nil, nil },
		"odd keys":      func(s *jobgraph.TemporalJoin) { s.LeftKeys = []uint32{0, 1} },
		"unknown key":   func(s *jobgraph.TemporalJoin) { s.RightKeys[0] = 9 },
		"types of keys": func(s *jobgraph.TemporalJoin) { s.LeftKeys[0] = 0 },
		"left time":     func(s *jobgraph.TemporalJoin) { s.LeftTime = 0 },
		"right time":    func(s *jobgraph.TemporalJoin) { s.RightTime = 9 },
		"condition": func(s *jobgraph.TemporalJoin) {
			s.Residual = expr.ToProto(&expr.Column{Index: 6, Name: "x", T: datatype.Of(datatype.Boolean)})
		},
	} {
		s := spec(false)
		change(s)
		if _, err := makes(s)(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
