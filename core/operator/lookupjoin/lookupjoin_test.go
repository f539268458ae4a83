package lookupjoin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/lookupjoin"
	"github.com/tidemill/tidemill/core/operator/operatortest"
)

// side is a table of rows that is asked for keys; it notes what it is asked.
type side struct {
	rows  operatortest.Table
	asked []string
	fails []error // of the next questions, first first
	keys  []int
	env   connector.LookupEnv
}

func (s *side) Lookup(_ context.Context, _ connector.SourceSpec, keys []int, env connector.LookupEnv) (connector.Lookup, error) {
	s.keys, s.env = keys, env
	return s, nil
}

func (s *side) Find(_ context.Context, keys []arrow.Array, n int) (arrow.RecordBatch, []int32, error) {
	if len(s.fails) > 0 {
		err := s.fails[0]
		s.fails = s.fails[1:]
		if err != nil {
			return nil, nil, err
		}
	}
	var rows [][]any
	var of []int32
	var asked []string
	for i := range n {
		asked = append(asked, fmt.Sprint(compute.ValueAt(keys[0], i)))
		for _, r := range s.rows.Rows() {
			if !slices.ContainsFunc(s.keys, func(k int) bool { return r[k] != compute.ValueAt(keys[slices.Index(s.keys, k)], i) }) {
				rows, of = append(rows, r), append(of, int32(i))
			}
		}
	}
	s.asked = append(s.asked, strings.Join(asked, " "))
	b := array.NewRecordBuilder(s.env.Alloc, s.rows.Schema.Arrow())
	defer b.Release()
	for _, r := range rows {
		for i, v := range r {
			if err := compute.AppendValue(b.Field(i), v); err != nil {
				return nil, nil, err
			}
		}
	}
	return b.NewRecordBatch(), of, nil
}

func (s *side) Close() error { return nil }

const (
	bids = `id BIGINT, k BIGINT, t STRING
1 | 1 | a
2 | 2 | b
3 | NULL | c
+U 4 | 1 | d
-D 5 | 3 | e
6 | 1 | a`
	names = `k BIGINT, name STRING, least BIGINT
1 | one | 0
1 | uno | 5
2 | two | 0
4 | four | 0`
	empty = "k BIGINT, name STRING, least BIGINT" // of which nothing comes out
)

func spec(outer bool) *jobgraph.LookupJoin {
	s := &jobgraph.LookupJoin{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{1}, RightKeys: []uint32{0}}
	if outer {
		s.Type = jobgraph.JoinType_JOIN_LEFT
	}
	return s
}

func output(outer bool) datatype.Schema {
	return append(operatortest.ParseSchema("id BIGINT, k BIGINT, t STRING"), operatortest.ParseSchema("rk BIGINT, name STRING, least BIGINT")...)
}

func makes(s *side, spec *jobgraph.LookupJoin, retries int, now func() time.Time) func() (operator.Operator, error) {
	return func() (operator.Operator, error) {
		return lookupjoin.New(spec, operatortest.ParseSchema("id BIGINT, k BIGINT, t STRING"), lookupjoin.Deps{
			Looker: s, Source: connector.SourceSpec{Table: connector.Table{Name: "names"}, Columns: s.rows.Schema}, Retries: retries,
			Functions: function.Builtins(), Expr: expr.Options{Now: now},
		})
	}
}

// Rows find those of their key, a null none; kinds stay.
func TestJoin(t *testing.T) {
	for _, outer := range []bool{false, true} {
		for _, rows := range []int64{0, 1, 100} {
			t.Run(fmt.Sprint(outer, rows), func(t *testing.T) {
				s := spec(outer)
				s.CacheRows = rows
				want := `1 | 1 | a | 1 | one | 0
1 | 1 | a | 1 | uno | 5
2 | 2 | b | 2 | two | 0
+U 4 | 1 | d | 1 | one | 0
+U 4 | 1 | d | 1 | uno | 5
6 | 1 | a | 1 | one | 0
6 | 1 | a | 1 | uno | 5`
				if outer {
					want += "\n3 | NULL | c | NULL | NULL | NULL\n-D 5 | 3 | e | NULL | NULL | NULL"
				}
				operatortest.Run(t, operatortest.Case{
					New:    makes(&side{rows: operatortest.Parse(names)}, s, 0, nil),
					Inputs: []operatortest.Table{operatortest.Parse(bids)}, Output: output(outer), Want: want,
				})
			})
		}
	}
}

// least <= id decides, also which rows of an outer join are by themselves.
func TestResidual(t *testing.T) {
	for _, outer := range []bool{false, true} {
		s := spec(outer)
		bigint := datatype.Of(datatype.BigInt)
		s.Residual = expr.ToProto(&expr.Call{Function: "<", T: datatype.Of(datatype.Boolean), Args: []expr.Expr{
			&expr.Column{Index: 5, Name: "least", T: bigint}, &expr.Column{Index: 0, Name: "id", T: bigint},
		}})
		table := strings.Replace(names, "two | 0", "two | 9", 1)
		want := `1 | 1 | a | 1 | one | 0
4 | 1 | d | 1 | one | 0
6 | 1 | a | 1 | one | 0
6 | 1 | a | 1 | uno | 5`
		if outer {
			want += `
2 | 2 | b | NULL | NULL | NULL
3 | NULL | c | NULL | NULL | NULL
5 | 3 | e | NULL | NULL | NULL`
		}
		operatortest.Run(t, operatortest.Case{
			New:    makes(&side{rows: operatortest.Parse(table)}, s, 0, nil),
			Inputs: []operatortest.Table{operatortest.Parse(strings.NewReplacer("+U ", "", "-D ", "").Replace(bids))}, Output: output(outer), Want: want,
		})
	}
}

// A key is asked about once while its answer is kept, and again when that is too old.
func TestCache(t *testing.T) {
	in := operatortest.Parse("id BIGINT, k BIGINT, t STRING\n1 | 1 | a\n2 | 3 | a\n3 | 1 | a\n4 | 1 | a\n5 | 2 | a\n6 | 3 | a\n7 | 1 | a\n8 | 3 | a")
	for _, c := range []struct {
		rows, millis int64
		want         string
	}{
		{rows: 100, want: "1 3|2"},
		{rows: 100, millis: 10, want: "1 3|2|1|3"},
		{rows: 1, want: "1 3|2 3|3"},
	} {
		now := time.UnixMilli(0)
		names := &side{rows: operatortest.Parse(empty)}
		s := spec(false)
		s.CacheRows, s.CacheMillis = c.rows, c.millis
		op, err := makes(names, s, 0, func() time.Time { return now })()
		if err != nil {
			t.Fatal(err)
		}
		f := operatortest.NewFeed(t, op, in)
		for _, n := range []int{3, 3, 1, 1} {
			f.Rows(n)
			now = now.Add(6 * time.Millisecond)
		}
		f.Close()
		if c.rows == 1 { // which of the keys of a batch stays is the hand's choice
			if !strings.HasPrefix(strings.Join(names.asked, "|"), "1 3|") || len(names.asked) < 3 {
				t.Errorf("asked %v", names.asked)
			}
			continue
		}
		if got := strings.Join(names.asked, "|"); got != c.want {
			t.Errorf("%d keys for %d ms: asked %q, want %q", c.rows, c.millis, got, c.want)
		}
	}
}

// What fails for a while is tried again as often as is allowed; another error is not.
func TestRetries(t *testing.T) {
	away := failure.Errorf(failure.Transient, "away")
	broken := errors.New("broken")
	for _, c := range []struct {
		fails   []error
		retries int
		want    error
		waited  time.Duration
	}{
		{fails: []error{away, away}, retries: 2, waited: 300 * time.Millisecond},
		{fails: []error{away, away}, retries: 1, want: away, waited: 100 * time.Millisecond},
		{fails: []error{broken}, retries: 2, want: broken},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			op, err := makes(&side{rows: operatortest.Parse(empty), fails: c.fails}, spec(false), c.retries, nil)()
			if err != nil {
				t.Fatal(err)
			}
			err = operatortest.Feed(t, op, operatortest.Parse("id BIGINT, k BIGINT, t STRING\n1 | 1 | a"))
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) || time.Since(begin) != c.waited {
				t.Errorf("%v, %d retries: %v after %v", c.fails, c.retries, err, time.Since(begin))
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(s *jobgraph.LookupJoin){
		"type":          func(s *jobgraph.LookupJoin) { s.Type = jobgraph.JoinType_JOIN_FULL },
		"no keys":       func(s *jobgraph.LookupJoin) { s.LeftKeys, s.RightKeys = nil, nil },
		"unknown key":   func(s *jobgraph.LookupJoin) { s.LeftKeys[0] = 9 },
		"types of keys": func(s *jobgraph.LookupJoin) { s.LeftKeys[0] = 2 },
		"condition": func(s *jobgraph.LookupJoin) {
			s.Residual = expr.ToProto(&expr.Column{Index: 6, Name: "x", T: datatype.Of(datatype.Boolean)})
		},
	} {
		s := spec(false)
		change(s)
		if _, err := makes(&side{rows: operatortest.Parse(names)}, s, 0, nil)(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
