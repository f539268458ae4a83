package operatortest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	ledger "github.com/tidemill/tidemill/core/memory"
)

// What an operator that spills is given: rows of several times the budget.
const (
	spillRows   = 24_000
	spillBatch  = 1024
	spillBudget = 1 << 20
)

// spills compares a run with a budget to one without.
func (c Case) spills(t T) {
	t.Helper()
	c.Twin, c.Want, c.BatchRows = nil, "", spillBatch
	r := rand.New(rand.NewPCG(1, 11))
	inputs := make([]Table, len(c.Inputs))
	for i, in := range c.Inputs {
		inputs[i].Schema = in.Schema
		for n := range cmp.Or(c.SpillRows, spillRows) {
			row := make([]any, len(in.Schema))
			for j, f := range in.Schema {
				row[j] = randomValue(r, f.Type)
			}
			if c.SpillRow != nil {
				c.SpillRow(n, row)
			}
			inputs[i].Steps = append(inputs[i].Steps, Step{Row: row})
		}
	}
	c.Inputs = inputs
	want, _ := c.within(t, nil)
	l, err := ledger.New(ledger.Options{Limit: spillBudget})
	if err != nil {
		t.Fatalf("%v", err)
	}
	account := l.Child("operator", 0)
	got, spilled := c.within(t, account)
	c.compareMany(t, got, want)
	if used := l.Used(); used != 0 {
		t.Fatalf("spilling: %d bytes stay charged", used)
	}
	if spilled < 2*spillBudget/3 {
		t.Fatalf("only %d bytes were spilled with a budget of %d", spilled, spillBudget)
	}
}

// compareMany says where two long results differ.
func (c Case) compareMany(t T, got, want []string) {
	t.Helper()
	if !c.Ordered {
		slices.Sort(got)
		slices.Sort(want)
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("spilling: row %d is\n  %s\nwant\n  %s", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("spilling: %d rows, want %d", len(got), len(want))
	}
}

// within runs the case below an account; nil: without a budget.
func (c Case) within(t T, limited *ledger.Account) (rows []string, spilled int64) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	res := &result{}
	f := &feed{
		c: &c, way: variant{batch: spillBatch, dictionaries: true}, mem: mem, rand: rand.New(rand.NewPCG(1, 7)),
		account: &account{}, out: &sink{c: &c, r: res, limit: spillBatch}, limited: limited,
	}
	err := func() (err error) {
		defer ledger.Recover(&err)
		return f.run()
	}()
	if err != nil {
		t.Fatalf("spilling, budget %v: %v", limited != nil, err)
	}
	mem.AssertSize(t, 0)
	if f.account.used != 0 || t.Failed() {
		t.Fatalf("spilling: memory is left, %d bytes charged", f.account.used)
	}
	return res.rows, f.spilled
}

// randomValue is a physical value of t; of many rows few are equal.
func randomValue(r *rand.Rand, t datatype.Type) any {
	if t.Nullable && r.IntN(20) == 0 {
		return nil
	}
	n := r.IntN(spillRows)
	switch {
	case t.IsString():
		return fmt.Sprintf("%06d%s", n, strings.Repeat("x", n%60))
	case t.IsBinary():
		return fmt.Appendf(nil, "%06d", n)
	}
	switch t.Kind {
	case datatype.Boolean:
		return n%2 == 0
	case datatype.TinyInt:
		return int64(n % 100)
	case datatype.SmallInt, datatype.Int, datatype.BigInt, datatype.Date, datatype.Time, datatype.Timestamp, datatype.TimestampLTZ:
		return int64(n)
	case datatype.Float, datatype.Double:
		return float64(n) / 4
	case datatype.Decimal:
		if t.Precision <= datatype.MaxDecimal64Precision {
			return int64(n % pow10(t.Precision))
		}
		return decimal128.FromI64(int64(n))
	default:
		panic(fmt.Sprintf("operatortest: no random value of %s", t))
	}
}

// pow10 is the number of values of n digits, at most spillRows.
func pow10(n int) int {
	p := 1
	for range n {
		if p *= 10; p >= spillRows {
			return spillRows
		}
	}
	return p
}
