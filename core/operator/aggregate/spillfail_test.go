package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// A disk that is full, and a file that cannot be made, written or read, end an
// aggregate with an error that names it and what it did, at whichever of these it
// happens. Nothing stays charged, allocated or on disk.

func TestSpillFileFails(t *testing.T) {
	for _, doing := range []string{"create", "write", "read"} {
		for nth, failed := 1, true; failed; nth *= 3 {
			failed = false
			count := 0
			rows, err := spillMany(t, 0, func(now string) error {
				if now != doing {
					return nil
				}
				if count++; count < nth {
					return nil
				}
				failed = true
				return errors.New("the disk is gone")
			})
			if !failed {
				if err != nil || nth == 1 || rows != manyGroups {
					t.Errorf("%s is done %d times, %d rows, %v", doing, count, rows, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), "sums: "+doing+" spill file groups-") || !strings.Contains(err.Error(), "the disk is gone") {
				t.Errorf("%s number %d: %v", doing, nth, err)
			}
		}
	}
}

func TestSpillDiskFull(t *testing.T) {
	for _, limit := range []int64{1, 100_000, 1_000_000} {
		if _, err := spillMany(t, limit, func(string) error { return nil }); err == nil || !strings.Contains(err.Error(), "io.tmp.limit") {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

const manyGroups = 20_000

// spillMany counts distinct values of many groups with a megabyte and returns how
// many groups came out.
func spillMany(t *testing.T, disk int64, fault func(doing string) error) (rows int, err error) {
	t.Helper()
	mem := arrowmemory.NewCheckedAllocator(arrowmemory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	parent := t.TempDir()
	dir, err := spill.Open(parent, disk)
	if err != nil {
		t.Fatal(err)
	}
	dir.Inject(fault)
	ledger, err := memory.New(memory.Options{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	account, space, out := ledger.Child("sums", 0), dir.Space("sums", spill.Counters{}), &countRows{}
	ctx := &operator.Context{
		Context: context.Background(), Memory: account, Alloc: account.Allocator(), Spill: space, BatchRows: 1024,
		Contend: account.Contend, Log: slog.New(slog.DiscardHandler), Output: out,
	}
	in := operatortest.ParseSchema("k STRING, v BIGINT")
	op, err := aggregate.New(&jobgraph.Aggregate{
		Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: calls(in, "COUNT(1) DISTINCT -> BIGINT NOT NULL", "SUM(1) -> BIGINT"),
	}, in)
	if err != nil {
		t.Fatal(err)
	}
	err = op.Open(ctx)
	for from := 0; err == nil && from < 2*manyGroups; from += 500 {
		b := array.NewRecordBuilder(mem, in.Arrow())
		for i := range 500 {
			b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("a group with a long name %d", (from+i)%manyGroups))
			b.Field(1).(*array.Int64Builder).Append(int64(from + i))
		}
		record := b.NewRecordBatch()
		b.Release()
		err = op.Process(0, stream.NewBatch(record))
	}
	if err == nil {
		err = op.EndInput(0)
	}
	if e := errors.Join(op.Close(), space.Close(), dir.Close()); e != nil {
		t.Fatal(e)
	}
	if left, e := os.ReadDir(parent); e != nil || len(left) > 0 {
		t.Errorf("left on disk: %v, %v", left, e)
	}
	if ledger.Used() != 0 {
		t.Errorf("%d bytes stay charged", ledger.Used())
	}
	return out.rows, err
}

// countRows counts rows.
type countRows struct{ rows int }

func (c *countRows) Emit(b *stream.Batch) error {
	defer b.Release()
	c.rows += b.Len()
	return nil
}
