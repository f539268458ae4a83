package keyfilter_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/keyfilter"
)

// texts is made of values; "" is null.
func texts(values ...string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for _, v := range values {
		if v == "" {
			b.AppendNull()
		} else {
			b.Append(v)
		}
	}
	return b.NewArray()
}

// indexed is a dictionary and its indexes; -1 is null.
func indexed(dictionary arrow.Array, indexes ...int32) arrow.Array {
	b := array.NewInt32Builder(memory.DefaultAllocator)
	for _, x := range indexes {
		if x < 0 {
			b.AppendNull()
		} else {
			b.Append(x)
		}
	}
	t := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: dictionary.DataType()}
	return array.NewDictionaryArray(t, b.NewArray(), dictionary)
}

// complete is the filter that parts make.
func complete(t *testing.T, parts ...*keyfilter.Keys) *keyfilter.Keys {
	t.Helper()
	a := &account{left: math.MaxInt64}
	s := keyfilter.NewSet(a)
	for i, p := range parts {
		s.Put(1, i, len(parts), p)
	}
	k, settled := s.Get(1)
	if k == nil || !settled {
		t.Fatalf("no filter of %d parts", len(parts))
	}
	if charged := math.MaxInt64 - a.left; charged != k.Bytes() {
		t.Errorf("%d bytes charged for a filter of %d", charged, k.Bytes())
	}
	if s.Close(); a.left != math.MaxInt64 {
		t.Errorf("%d bytes charged after the end", math.MaxInt64-a.left)
	}
	return k
}

// Integers far apart, texts and keys of several columns are kept if they are in any of
// the parts, and few others are; a part of integers close together fits in.
func TestBloom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const n = 20_000
	var ints, others []int64
	var names, strangers []string
	for i := range n {
		ints, others = append(ints, rnd.Int64()|1), append(others, rnd.Int64()&^1|2)
		names, strangers = append(names, fmt.Sprint("key ", i)), append(strangers, fmt.Sprint("other ", i))
	}
	for _, c := range []struct {
		name    string
		parts   [][][]arrow.Array
		integer bool
		yes, no []arrow.Array
		yesRows int
	}{
		{
			name: "integers", integer: true, yesRows: n,
			parts: [][][]arrow.Array{{{column(ints[:5000]...)}, {column(0, 0)}}, {{column(ints[5000:]...)}}, {}},
			yes:   []arrow.Array{column(ints...)}, no: []arrow.Array{column(others...)},
		},
		{
			name: "a part close together", integer: true, yesRows: 3,
			parts: [][][]arrow.Array{{{column(1, 2)}}, {{column(1 << 60)}}},
			yes:   []arrow.Array{column(1, 2, 1<<60)}, no: []arrow.Array{column(others...)},
		},
		{
			name: "texts", yesRows: n,
			parts: [][][]arrow.Array{{{texts(names[:700]...)}, {texts("", names[700], "")}, {texts("")}}, {{texts(names[701:]...)}}},
			yes:   []arrow.Array{texts(names...)}, no: []arrow.Array{texts(strangers...)},
		},
		{
			name: "dictionaries", yesRows: 3,
			parts: [][][]arrow.Array{{{indexed(texts(names...), 0, 7, -1, 9)}}},
			yes:   []arrow.Array{texts(names[0], names[7], names[9])}, no: []arrow.Array{texts(strangers...)},
		},
		{
			name: "two columns", yesRows: n,
			parts: [][][]arrow.Array{{{column(ints...), texts(names...)}, {column(ints[0], 0), texts("", names[0])}}},
			yes:   []arrow.Array{column(ints...), texts(names...)}, no: []arrow.Array{column(ints[1:]...), texts(names[:n-1]...)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var parts []*keyfilter.Keys
			for _, p := range c.parts {
				parts = append(parts, keyfilter.Of(p, c.integer))
			}
			k := complete(t, parts...)
			if k.Exact() {
				t.Error("an exact filter")
			}
			if got := keep(k, c.yes...); len(got) != c.yesRows {
				t.Errorf("kept %d of %d", len(got), c.yesRows)
			}
			if got, of := len(keep(k, c.no...)), c.no[0].Len(); got*100 > of {
				t.Errorf("kept %d of %d others", got, of)
			}
		})
	}
}

// A dictionary's values are asked about once and its rows by index, nulls never; the
// next one has values of its own.
func TestDictionary(t *testing.T) {
	k := complete(t, keyfilter.Of([][]arrow.Array{{texts("a", "c")}}, false))
	p := keyfilter.NewProbe(k)
	first, second := texts("a", "b", "c"), texts("x", "a")
	for _, c := range []struct {
		column arrow.Array
		want   []int32
	}{
		{indexed(first, 0, 1, 2, 1), []int32{0, 2}},
		{indexed(first, 1, -1, 0), []int32{2}},
		{indexed(second, 0, 1, 1), []int32{1, 2}},
		{indexed(texts(), -1, -1), nil},
		{texts("c", "b"), []int32{0}},
		{indexed(first, 2), []int32{0}},
		{array.NewSlice(indexed(first, 0, 1, 2, 2), 1, 3), []int32{1}},
	} {
		if got := p.Keep([]arrow.Array{c.column}); !slices.Equal(got, c.want) {
			t.Errorf("%v: kept %v, not %v", c.column, got, c.want)
		}
	}
}

// One value can be asked about, as that of a partition; what the set does not know of
// it may have.
func TestHas(t *testing.T) {
	words := complete(t, keyfilter.Of([][]arrow.Array{{texts("a", "c")}}, false))
	sparse := complete(t, of(column(1, 1<<40)))
	dense := complete(t, of(column(1, 5)))
	for _, c := range []struct {
		keys *keyfilter.Keys
		v    any
		want bool
	}{
		{words, "a", true},
		{words, "b", false},
		{words, []byte("c"), true},
		{words, []byte("d"), false},
		{words, int64(1), true},
		{words, 1.5, true},
		{sparse, int64(1 << 40), true},
		{sparse, int64(1 << 39), false},
		{sparse, int64(1 << 41), false},
		{dense, int64(5), true},
		{dense, int64(4), false},
		{dense, "a", true},
		{of(), int64(1), false},
		{keyfilter.Of(nil, false), "a", false},
	} {
		if got := c.keys.Has(c.v); got != c.want {
			t.Errorf("%v: %v", c.v, got)
		}
	}
	if !sparse.Between(2, 1<<41) || sparse.Between(1<<41, 1<<42) || !words.Between(5, 5) {
		t.Error("bounds of a bloom filter")
	}
}

// Where the account has no room for the filter of parts that it had room for, there is
// none, and nothing stays charged.
func TestNoRoomForBloom(t *testing.T) {
	part := of(column(1, 1<<40))
	a := &account{left: part.Bytes() + 100}
	s := keyfilter.NewSet(a)
	s.Put(1, 0, 1, part)
	if k, settled := s.Get(1); k != nil || !settled {
		t.Errorf("%v, settled: %v", k, settled)
	}
	if a.left != part.Bytes()+100 {
		t.Errorf("%d bytes left", a.left)
	}
}

// What a probe costs by the number of keys; one row in ten has a partner.
func BenchmarkKeep(b *testing.B) {
	for _, keys := range []int{1_000, 100_000, 1_000_000} {
		rnd := rand.New(rand.NewPCG(1, 2))
		build := make([]int64, keys)
		for i := range build {
			build[i] = rnd.Int64()
		}
		probe := make([]int64, 8192)
		for i := range probe {
			if probe[i] = rnd.Int64(); i%10 == 0 {
				probe[i] = build[rnd.IntN(keys)]
			}
		}
		s := keyfilter.NewSet(&account{left: math.MaxInt64})
		s.Put(1, 0, 1, of(column(build...)))
		k, _ := s.Get(1)
		p, columns := keyfilter.NewProbe(k), []arrow.Array{column(probe...)}
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			for b.Loop() {
				p.Keep(columns)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/8192, "ns/row")
		})
	}
}
