package join_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// A build side above its budget gives the rows that one within it gives: many
// keys, whose partitions are divided; one key or none, where dividing does not
// help and the build side is read in blocks.

var kinds = []jobgraph.JoinType{
	jobgraph.JoinType_JOIN_INNER, jobgraph.JoinType_JOIN_LEFT, jobgraph.JoinType_JOIN_RIGHT,
	jobgraph.JoinType_JOIN_FULL, jobgraph.JoinType_JOIN_SEMI, jobgraph.JoinType_JOIN_ANTI,
	jobgraph.JoinType_JOIN_RIGHT_SEMI, jobgraph.JoinType_JOIN_RIGHT_ANTI,
}

func TestSpillsByPartition(t *testing.T) {
	l, r := operatortest.ParseSchema("k STRING, n INT, v INT"), operatortest.ParseSchema("k STRING, n INT, w INT")
	for _, kind := range kinds {
		for _, key := range []uint32{0, 1} {
			t.Run(fmt.Sprintf("%v/%d", kind, key), func(t *testing.T) {
				spec := &jobgraph.Join{Type: kind, LeftKeys: []uint32{key}, RightKeys: []uint32{key}}
				if key == 1 {
					spec.Residual = expr.ToProto(smaller())
				}
				operatortest.Run(t, operatortest.Case{
					Inputs: []operatortest.Table{{Schema: l}, {Schema: r}}, Output: outputOf(kind, l, r), Spills: true,
					New: func() (operator.Operator, error) { return join.New(spec, l, r, deps) },
				})
			})
		}
	}
}

func TestSpillsByBlock(t *testing.T) {
	for _, kind := range kinds {
		for _, keys := range [][]uint32{{0}, nil} {
			for _, residual := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%v/%v", kind, keys, residual), func(t *testing.T) {
					spec := &jobgraph.Join{Type: kind, LeftKeys: keys, RightKeys: keys}
					if residual {
						spec.Residual = expr.ToProto(smaller())
					}
					want, _, err := skewed(t, spec, 0, 0)
					if err != nil {
						t.Fatal(err)
					}
					got, spilled, err := skewed(t, spec, 1<<20, 0)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%d rows, want %d", len(got), len(want))
					}
					// Where it matters only whether a key occurs, its rows are not kept.
					onlyKeys := len(want) > 0 && len(keys) > 0 && !residual &&
						(kind == jobgraph.JoinType_JOIN_SEMI || kind == jobgraph.JoinType_JOIN_ANTI)
					if spilled == 0 && !onlyKeys {
						t.Fatal("nothing was spilled")
					}
				})
			}
		}
	}
}

// A disk that is full ends the join with an error that names it, and nothing stays.
func TestSpillFails(t *testing.T) {
	spec := &jobgraph.Join{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0}, RightKeys: []uint32{0}}
	for _, limit := range []int64{1, 100_000, 800_000, 1_200_000} {
		if _, _, err := skewed(t, spec, 1<<20, limit); err == nil || !strings.Contains(err.Error(), "io.tmp.limit") {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

// A file that cannot be made, written or read ends the join with an error that names
// it and what it did, at whichever of these it happens; nothing stays.
func TestSpillFileFails(t *testing.T) {
	spec := &jobgraph.Join{Type: jobgraph.JoinType_JOIN_LEFT, LeftKeys: []uint32{0}, RightKeys: []uint32{0}}
	for _, doing := range []string{"create", "write", "read"} {
		for nth, failed := 1, true; failed; nth *= 3 {
			failed = false
			count := 0
			_, _, err := skewedWith(t, spec, 1<<20, 0, func(now string) error {
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
				if err != nil || nth == 1 {
					t.Errorf("%s is done %d times, %v", doing, count, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), "join: "+doing+" spill file join_") || !strings.Contains(err.Error(), "the disk is gone") {
				t.Errorf("%s number %d: %v", doing, nth, err)
			}
		}
	}
}

// skewed joins six rows with ten thousand of one key, and some others.
func skewed(t *testing.T, spec *jobgraph.Join, budget, disk int64) (rows []string, spilled int64, err error) {
	t.Helper()
	return skewedWith(t, spec, budget, disk, func(string) error { return nil })
}

// A build side with more text than one array can hold is divided, however much memory
// there is.
func TestMoreTextThanOneArrayHolds(t *testing.T) {
	for _, keys := range [][]uint32{{0}, nil} {
		for _, kind := range []jobgraph.JoinType{jobgraph.JoinType_JOIN_INNER, jobgraph.JoinType_JOIN_FULL} {
			spec := &jobgraph.Join{Type: kind, LeftKeys: keys, RightKeys: keys, Residual: expr.ToProto(smaller())}
			want, _, err := skewed(t, spec, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			got, spilled, err := skewedJoin(t, spec, 0, 0, func(string) error { return nil }, func(op operator.Operator) { join.LimitConcat(op, 3000) })
			if err != nil || spilled == 0 || !slices.Equal(got, want) {
				t.Errorf("%v on %v: %d rows, want %d; %d bytes spilled, %v", kind, keys, len(got), len(want), spilled, err)
			}
		}
	}
}

// skewedWith is skewed with faults.
func skewedWith(t *testing.T, spec *jobgraph.Join, budget, disk int64, fault func(doing string) error) (rows []string, spilled int64, err error) {
	t.Helper()
	return skewedJoin(t, spec, budget, disk, fault, func(operator.Operator) {})
}

// skewedJoin is skewedWith on a join that was changed.
func skewedJoin(t *testing.T, spec *jobgraph.Join, budget, disk int64, fault func(doing string) error, change func(operator.Operator)) (rows []string, spilled int64, err error) {
	t.Helper()
	left, right := operatortest.ParseSchema("k STRING, n INT, v INT"), operatortest.ParseSchema("k STRING, n INT, w INT")
	mem := arrowmemory.NewCheckedAllocator(arrowmemory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	dir, err := spill.Open(t.TempDir(), disk)
	if err != nil {
		t.Fatal(err)
	}
	dir.Inject(fault)
	space := dir.Space("join", spill.Counters{})
	ctx := &operator.Context{
		Context: context.Background(), Memory: unlimited{}, Alloc: mem, Spill: space, BatchRows: 1024,
		Contend: func() *memory.Share { return nil }, Log: slog.New(slog.DiscardHandler),
	}
	if budget > 0 {
		ledger, err := memory.New(memory.Options{Limit: budget})
		if err != nil {
			t.Fatal(err)
		}
		account := ledger.Child("join", 0)
		ctx.Memory, ctx.Contend, ctx.Alloc = account, account.Contend, account.Allocator()
		defer func() {
			if ledger.Used() != 0 {
				t.Errorf("%d bytes stay charged", ledger.Used())
			}
		}()
	}
	out := &lines{schema: outputOf(spec.Type, left, right)}
	ctx.Output = out
	op, err := join.New(spec, left, right, deps)
	if err != nil {
		t.Fatal(err)
	}
	change(op)
	err = op.Open(ctx)
	if err == nil {
		err = feedSkewed(op, mem, left.Arrow(), right.Arrow())
	}
	spilled = space.Written()
	if e := errors.Join(op.Close(), space.Close(), dir.Close()); e != nil {
		t.Fatal(e)
	}
	slices.Sort(out.rows)
	return out.rows, spilled, err
}

func feedSkewed(op operator.Operator, mem arrowmemory.Allocator, left, right *arrow.Schema) error {
	const builds, size = 10_000, 500
	for from := 0; from < builds; from += size {
		b := skewedBatch(mem, right, size, func(i int) (string, int32) {
			if (from+i)%100 == 7 {
				return fmt.Sprint("other", from+i), int32(from + i)
			}
			return strings.Repeat("the one key ", 10), int32(from + i)
		})
		if err := op.Process(1, b); err != nil {
			return err
		}
	}
	if err := op.EndInput(1); err != nil {
		return err
	}
	probe := []string{"absent", strings.Repeat("the one key ", 10), "other7", "", "other9907", strings.Repeat("the one key ", 10)}
	for range 2 {
		b := skewedBatch(mem, left, len(probe), func(i int) (string, int32) { return probe[i], int32(2_000 * (i + 1)) })
		if err := op.Process(0, b); err != nil {
			return err
		}
	}
	return op.EndInput(0)
}

// skewedBatch makes rows of k, n and v, the key being null where it is empty.
func skewedBatch(mem arrowmemory.Allocator, schema *arrow.Schema, n int, row func(int) (string, int32)) *stream.Batch {
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	for i := range n {
		k, v := row(i)
		if k == "" {
			b.Field(0).AppendNull()
		} else {
			b.Field(0).(*array.StringBuilder).Append(k)
		}
		b.Field(1).(*array.Int32Builder).Append(1)
		b.Field(2).(*array.Int32Builder).Append(v)
	}
	return stream.NewBatch(b.NewRecordBatch())
}

// lines collects rows as text.
type lines struct {
	schema datatype.Schema
	rows   []string
}

func (l *lines) Emit(b *stream.Batch) error {
	defer b.Release()
	for _, r := range operatortest.ReadRows(b) {
		l.rows = append(l.rows, operatortest.FormatRow(l.schema, r))
	}
	return nil
}
