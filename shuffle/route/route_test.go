package route_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/route"
)

// sent is a lane that writes down what it is given.
type sent struct {
	rows [][]string // by partition
	log  []string
	err  error
}

func (s *sent) Send(_ context.Context, p uint32, b *stream.Batch) error {
	defer b.Release()
	if s.err != nil {
		return s.err
	}
	s.rows[p] = append(s.rows[p], texts(b)...)
	s.log = append(s.log, fmt.Sprintf("%d:%d", p, b.Len()))
	return nil
}

func (s *sent) Broadcast(_ context.Context, e stream.Element) error {
	s.log = append(s.log, e.Kind.String())
	return s.err
}

func (s *sent) Finish(context.Context) (shuffle.Manifest, error) { return shuffle.Manifest{}, s.err }
func (s *sent) Close() error                                     { return nil }

// texts prints the rows that count.
func texts(b *stream.Batch) (out []string) {
	sel := b.Sel
	if sel == nil {
		for i := range b.PhysicalRows() {
			sel = append(sel, int32(i))
		}
	}
	for _, i := range sel {
		row := b.Kind(int(i)).String()
		for _, c := range b.Record.Columns() {
			row += "|" + c.ValueStr(int(i))
		}
		out = append(out, row)
	}
	return out
}

// random returns a batch with every sort of column that has a loop of its own,
// one that has none (boolean) where plain is false, or a dictionary.
func random(mem memory.Allocator, r *rand.Rand, form int) *stream.Batch {
	name := arrow.Field{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}
	if form == 1 {
		name.Type = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "k", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		name,
		{Name: "i", Type: arrow.PrimitiveTypes.Int16},
		{Name: "d", Type: &arrow.Decimal128Type{Precision: 30}},
	}, nil)
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	n := 1 + r.IntN(50)
	for i := range n {
		for _, f := range b.Fields() {
			if f.Type().ID() != arrow.INT16 && r.IntN(5) == 0 {
				f.AppendNull()
				continue
			}
			if err := f.AppendValueFromString(fmt.Sprint((i*31 + r.IntN(50)) % 90)); err != nil {
				panic(err)
			}
		}
	}
	out := stream.NewBatch(b.NewRecordBatch())
	if r.IntN(2) == 0 {
		from := r.IntN(n)
		out = out.WithRecord(out.Record.NewSlice(int64(from), int64(n)))
		n -= from
	}
	if r.IntN(2) == 0 {
		out.Sel = []int32{}
		for i := range n {
			if r.IntN(2) == 0 {
				out.Sel = append(out.Sel, int32(i))
			}
		}
	}
	if r.IntN(3) == 0 {
		for range n {
			out.Kinds = append(out.Kinds, stream.Insert+stream.RowKind(r.IntN(4)))
		}
	}
	return out
}

// Whatever the batches look like, each row goes to the owner of its key's group,
// unchanged, once, and in order.
func TestHashSendsEachRowToItsOwner(t *testing.T) {
	for seed := range uint64(200) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		r := rand.New(rand.NewPCG(seed, 1))
		partitions := 1 + r.IntN(5)
		owners, err := keygroup.Even(16, partitions)
		if err != nil {
			t.Fatal(err)
		}
		to := &sent{rows: make([][]string, partitions)}
		router, err := route.New(to, route.Options{
			Distribution: shuffle.Hash, Partitions: partitions, Keys: []int{0, 1}, KeyGroups: 16, Alloc: mem, TargetRows: 1 + r.IntN(100),
		})
		if err != nil {
			t.Fatal(err)
		}
		want := make([][]string, partitions)
		for range 12 {
			b := random(mem, r, r.IntN(2)*r.IntN(2))
			for i, h := range compute.HashColumns([]arrow.Array{b.Column(0), b.Column(1)}, b.Sel, nil) {
				p := owners.Owner(h)
				want[p] = append(want[p], texts(b)[i])
			}
			if err := router.Emit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := router.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := router.Close(); err != nil {
			t.Fatal(err)
		}
		for p := range want {
			if !slices.Equal(to.rows[p], want[p]) {
				t.Fatalf("seed %d, partition %d:\nhave %q\nwant %q", seed, p, to.rows[p], want[p])
			}
		}
		mem.AssertSize(t, 0)
	}
}

func numbers(mem memory.Allocator, n int) *stream.Batch {
	b := array.NewRecordBuilder(mem, arrow.NewSchema([]arrow.Field{{Name: "k", Type: arrow.PrimitiveTypes.Int64}}, nil))
	defer b.Release()
	for i := range int64(n) {
		b.Field(0).(*array.Int64Builder).Append(i)
	}
	return stream.NewBatch(b.NewRecordBatch())
}

// What each distribution sends where; a watermark waits behind buffered rows, a
// barrier pushes them out.
func TestDistributions(t *testing.T) {
	cases := []struct {
		d    shuffle.Distribution
		want string
	}{
		{shuffle.Forward, "[1:4 1:4 watermark barrier]"},
		{shuffle.Merge, "[1:4 1:4 watermark barrier]"},
		{shuffle.Singleton, "[0:4 0:4 watermark barrier]"},
		{shuffle.Rebalance, "[0:4 1:4 watermark barrier]"},
		{shuffle.Broadcast, "[0:4 0:4 watermark barrier]"},
		{shuffle.Hash, "[0:6 1:2 watermark barrier]"},
	}
	for _, c := range cases {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		to := &sent{rows: make([][]string, 2)}
		r, err := route.New(to, route.Options{Distribution: c.d, Partitions: 2, Lane: 1, Keys: []int{0}, KeyGroups: 16, Alloc: mem})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Emit(t.Context(), numbers(mem, 4)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(
			r.Advance(t.Context(), 1), r.Advance(t.Context(), 2),
			r.Broadcast(t.Context(), stream.Element{Kind: stream.BarrierElement}), r.Close(),
		); err != nil {
			t.Fatal(err)
		}
		if c.d != shuffle.Hash {
			c.want = c.want[:len(c.want)-len("watermark barrier]")] + "watermark watermark barrier]"
		}
		if have := fmt.Sprint(to.log); have != c.want {
			t.Errorf("%v: have %s, want %s", c.d, have, c.want)
		}
		mem.AssertSize(t, 0)
	}
}

// An error of the writer comes back, and nothing leaks: neither what was sent
// nor what is buffered.
func TestWriterFails(t *testing.T) {
	for _, d := range []shuffle.Distribution{shuffle.Hash, shuffle.Broadcast, shuffle.Rebalance} {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		to := &sent{rows: make([][]string, 3), err: errors.New("gone")}
		r, err := route.New(to, route.Options{Distribution: d, Partitions: 3, Keys: []int{0}, KeyGroups: 16, Alloc: mem, TargetRows: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Emit(t.Context(), numbers(mem, 20)); !errors.Is(err, to.err) {
			t.Errorf("%v: have %v", d, err)
		}
		if _, err := r.Finish(t.Context()); !errors.Is(err, to.err) {
			t.Errorf("%v: have %v", d, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		mem.AssertSize(t, 0)
	}
	if _, err := route.New(&sent{}, route.Options{Distribution: shuffle.Range, Partitions: 2}); err == nil {
		t.Error("range is not built, and nobody says so")
	}
	if _, err := route.New(&sent{}, route.Options{Distribution: shuffle.Hash, Partitions: 17, KeyGroups: 16}); err == nil {
		t.Error("more partitions than key groups")
	}
}
