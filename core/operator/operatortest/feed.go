package operatortest

import (
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/operator"
)

// Feed gives an operator a table, ends the input and closes it; it returns the
// first error. What comes out is dropped.
func Feed(t *testing.T, op operator.Operator, in Table) error {
	t.Helper()
	_, err := Collect(t, op, 1<<16, in)
	return err
}

// Collect is Feed in batches of size rows, and returns what came out, as text.
func Collect(t *testing.T, op operator.Operator, size int, in Table) ([]string, error) {
	t.Helper()
	f := NewFeed(t, op, in)
	f.feed.way.batch = size
	err := f.feed.all()
	f.Close()
	return f.Output(), err
}

// Manual is an operator that a test drives by hand.
type Manual struct {
	t    *testing.T
	mem  *memory.CheckedAllocator
	acct *account
	feed *feed
	at   int
}

// NewFeed opens an operator whose first input is in. Its output is printed with
// in's schema, so that suits operators which pass rows on.
func NewFeed(t *testing.T, op operator.Operator, in Table) *Manual {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	acct := &account{}
	c := &Case{New: func() (operator.Operator, error) { return op, nil }, Inputs: []Table{in}, Output: in.Schema, BatchRows: 1 << 16, Undrained: true}
	f := &feed{
		c: c, way: variant{batch: 1 << 16}, mem: mem, account: acct, rand: rand.New(rand.NewPCG(1, 7)),
		out: &sink{c: c, r: &result{}, limit: c.BatchRows},
	}
	m := &Manual{t: t, mem: mem, acct: acct, feed: f}
	if err := f.open(nil, nil); err != nil {
		t.Fatal(err)
	}
	return m
}

// Rows feeds the next n steps of the table, which are rows, as one batch.
func (m *Manual) Rows(n int) {
	m.t.Helper()
	if err := m.feed.op.Process(0, m.feed.batch(m.feed.c.Inputs[0], m.at, m.at+n)); err != nil {
		m.t.Fatal(err)
	}
	m.at += n
}

// Output is what has come out so far: rows, watermarks, idleness.
func (m *Manual) Output() []string { return m.feed.out.r.rows }

// Close closes the operator and checks that nothing is left.
func (m *Manual) Close() {
	m.t.Helper()
	if err := m.feed.close(); err != nil {
		m.t.Fatal(err)
	}
	m.mem.AssertSize(m.t, 0)
	if m.acct.used != 0 {
		m.t.Fatalf("%d bytes stay charged", m.acct.used)
	}
}

// Skip leaves out the next n steps of the table.
func (m *Manual) Skip(n int) { m.at += n }
