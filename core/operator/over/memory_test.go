package over_test

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/over"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// Large partitions with little memory: what streams stays small, what can be
// foreseen goes to a file, and what needs its rows in memory fails by name.

// bigSchema is an order and a value.
var bigSchema = operatortest.ParseSchema("o BIGINT NOT NULL, v BIGINT")

func bigCall(function string, frame *jobgraph.Frame, args ...uint32) *jobgraph.OverCall {
	c := call(function, "BIGINT", frame)
	for _, a := range args {
		c.Call.Args = append(c.Call.Args, a)
		c.Call.ArgTypes = append(c.Call.ArgTypes, "BIGINT")
	}
	return c
}

// big feeds one partition of batches of 4096 rows or of size, o from 0 on, v always 1.
type big struct {
	t       *testing.T
	calls   []*jobgraph.OverCall
	limit   int64
	own     int64 // limit of the operator's account; 0: none
	disk    int64 // of the directory for files; 0: no limit
	batches int
	size    int              // of batches; 0: bigRows
	broken  func(dir string) // before the end of input

	dir   string
	rows  int64
	emits int
	last  []any // of each call
	peak  int64
}

// Emit implements operator.Output.
func (g *big) Emit(b *stream.Batch) error {
	defer b.Release()
	g.rows += int64(b.Len())
	g.emits++
	g.last = g.last[:0]
	for i := range g.calls {
		g.last = append(g.last, compute.ValueAt(b.Column(len(bigSchema)+i), b.Len()-1))
	}
	return nil
}

func (g *big) run() (err error) {
	defer ledger.Recover(&err)
	g.dir = g.t.TempDir()
	l, err := ledger.New(ledger.Options{Limit: g.limit})
	if err != nil {
		return err
	}
	dir, err := spill.Open(g.dir, g.disk)
	if err != nil {
		return err
	}
	account := l.Child("over", g.own)
	op, err := over.New(&jobgraph.Over{Order: []*jobgraph.SortKey{{}}, Calls: g.calls}, bigSchema)
	if err != nil {
		return err
	}
	defer func() {
		if e := op.Close(); err == nil {
			err = e
		}
		if l.Used() != 0 {
			g.t.Errorf("%d bytes stay charged", l.Used())
		}
		g.peak = l.Peak()
		_ = dir.Close()
	}()
	err = op.Open(&operator.Context{
		Context: context.Background(), Parallelism: 1, Output: g, Memory: account, Alloc: account.Allocator(), Contend: account.Contend,
		Spill: dir.Space("over", spill.Counters{}), BatchRows: stream.TargetRows, Log: slog.New(slog.DiscardHandler),
	})
	for n := 0; err == nil && n < g.batches; n++ {
		err = op.Process(0, g.batch(n))
	}
	if err != nil {
		return err
	}
	if g.broken != nil {
		g.broken(g.dir)
	}
	return op.EndInput(0)
}

const bigRows = 4096

// batch is the n-th batch, which is charged to nobody.
func (g *big) batch(n int) *stream.Batch {
	mem, size := memory.NewGoAllocator(), cmp.Or(g.size, bigRows)
	b := array.NewInt64Builder(mem)
	defer b.Release()
	for i := range size {
		b.Append(int64(n*size + i))
	}
	order := b.NewArray()
	defer order.Release()
	ones, err := compute.Constant(mem, datatype.Of(datatype.BigInt), int64(1), size)
	if err != nil {
		g.t.Fatal(err)
	}
	defer ones.Release()
	return operator.NewBatch(bigSchema.Arrow(), []arrow.Array{order, ones}, size)
}

func TestLargePartitionStreams(t *testing.T) {
	running := frame("RANGE UNBOUNDED PRECEDING, CURRENT ROW")
	g := &big{t: t, limit: 16 << 20, batches: 500, calls: []*jobgraph.OverCall{
		bigCall("ROW_NUMBER", running), bigCall("RANK", running), bigCall("SUM", running, 1), bigCall("MAX", running, 0),
		bigCall("LAG", frame("ROWS 3 PRECEDING, CURRENT ROW"), 0), bigCall("SUM", frame("ROWS 99 PRECEDING, 5 FOLLOWING"), 1),
		bigCall("COUNT", frame("RANGE 1000 PRECEDING, 10 FOLLOWING")), bigCall("FIRST_VALUE", running, 0),
	}}
	if err := g.run(); err != nil {
		t.Fatal(err)
	}
	n := int64(500 * bigRows)
	if g.rows != n {
		t.Fatalf("%d rows, want %d", g.rows, n)
	}
	for i, want := range []int64{n, n, n, n - 1, n - 2, 100, 1001, 0} {
		if g.last[i] != want {
			t.Errorf("%s of the last row is %v, want %d", g.calls[i].Call.Function, g.last[i], want)
		}
	}
}

func TestLargePartitionSpills(t *testing.T) {
	whole := frame("ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING")
	rest := frame("ROWS 10 FOLLOWING, UNBOUNDED FOLLOWING")
	g := &big{t: t, limit: 4 << 20, batches: 200, calls: []*jobgraph.OverCall{
		bigCall("SUM", whole, 1), bigCall("COUNT", rest), bigCall("LAST_VALUE", whole, 0), bigCall("NTILE", whole, 1),
	}}
	if err := g.run(); err != nil {
		t.Fatal(err)
	}
	n := int64(200 * bigRows)
	for i, want := range []int64{n, 0, n - 1, 1} {
		if g.last[i] != want {
			t.Errorf("%s of the last row is %v, want %d", g.calls[i].Call.Function, g.last[i], want)
		}
	}
	left, err := filepath.Glob(filepath.Join(g.dir, "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}

func TestPartitionTooLargeForMemory(t *testing.T) {
	whole := frame("ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING")
	for _, c := range []*jobgraph.OverCall{ignoring(bigCall("LEAD", whole, 1)), bigCall("NTH_VALUE", whole, 1, 0), ignoring(bigCall("LAG", whole, 1))} {
		g := &big{t: t, limit: 4 << 20, batches: 200, calls: []*jobgraph.OverCall{c}}
		err := g.run()
		if err == nil || !strings.Contains(err.Error(), "over: ") || !strings.Contains(err.Error(), c.Call.Function) {
			t.Errorf("%s: %v, want an error that names it", c.Call.Function, err)
		}
	}
}

// A file that is broken while it waits is an error that names what was done.
func TestBrokenPartitionFile(t *testing.T) {
	g := &big{t: t, limit: 2 << 20, batches: 100, calls: []*jobgraph.OverCall{bigCall("SUM", frame("ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING"), 1)}}
	g.broken = func(dir string) {
		files, err := filepath.Glob(filepath.Join(dir, "*", "*partition*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("files %v, error %v", files, err)
		}
		if err := os.Truncate(files[0], 1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.run(); err == nil || !strings.Contains(err.Error(), "over: ") {
		t.Errorf("a truncated file gave %v", err)
	}
}

// Wherever memory ends, while rows are kept or while they are computed, the
// partition goes through a file.
func TestPartitionOfAnyLimit(t *testing.T) {
	whole := frame("ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING")
	for own := int64(2500 << 10); own < 7<<20; own += 100 << 10 {
		g := &big{t: t, limit: 1 << 30, own: own, batches: 10, calls: []*jobgraph.OverCall{bigCall("SUM", whole, 1), bigCall("LAST_VALUE", whole, 0)}}
		n := int64(10 * bigRows)
		if err := g.run(); err != nil || g.rows != n || g.last[0] != n || g.last[1] != n-1 {
			t.Fatalf("limit %d: %d rows, the last with %v; %v", own, g.rows, g.last, err)
		}
	}
}

// A disk that is full is an error, and leaves nothing behind.
func TestPartitionTooLargeForDisk(t *testing.T) {
	whole := frame("ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING")
	g := &big{t: t, limit: 2 << 20, disk: 1 << 20, batches: 100, calls: []*jobgraph.OverCall{bigCall("SUM", whole, 1), bigCall("LAST_VALUE", whole, 0)}}
	if err := g.run(); err == nil || !strings.Contains(err.Error(), "over: ") {
		t.Errorf("a full disk gave %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(g.dir, "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}

// Many batches of a row each are computed in large sections.
func TestTinyBatches(t *testing.T) {
	g := &big{t: t, limit: 64 << 20, batches: 20_000, size: 1, calls: []*jobgraph.OverCall{
		bigCall("ROW_NUMBER", frame("ROWS UNBOUNDED PRECEDING, CURRENT ROW")), bigCall("SUM", frame("ROWS 9 PRECEDING, CURRENT ROW"), 1),
	}}
	if err := g.run(); err != nil || g.rows != 20_000 || g.emits > 10 || g.last[0] != int64(20_000) || g.last[1] != int64(10) {
		t.Fatalf("%d rows in %d batches, the last with %v; %v", g.rows, g.emits, g.last, err)
	}
}
