package rows

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// The codec goes by pointers; the twin here goes by reflection, and both say the same.

type every struct {
	Flag   bool
	Tiny   int8
	Small  int16
	Medium int32
	Big    int64 `tidemill:"large"`
	Plain  int
	Real   float32
	Double float64
	Text   string
	Bytes  []byte
	At     time.Time
	Nanos  time.Time `tidemill:"nanos,TIMESTAMP_LTZ(9)"`
	Day    int32     `tidemill:"day,DATE"`

	hidden int
	Left   chan int `tidemill:"-"`

	MaybeText *string
	MaybeBig  *int64
	MaybeAt   *time.Time
}

func random(r *rand.Rand) (v every) {
	text := strings.Repeat("é", r.IntN(20))
	v = every{
		Flag: r.IntN(2) == 0, Tiny: int8(r.Int()), Small: int16(r.Int()), Medium: int32(r.Int()), Big: int64(r.Uint64()), Plain: r.Int(),
		Real: r.Float32(), Double: r.NormFloat64(), Text: text, Bytes: []byte(text),
		At: time.UnixMilli(r.Int64N(1 << 41)).UTC(), Nanos: time.Unix(0, r.Int64N(1<<60)).UTC(), Day: int32(r.IntN(20_000)),
	}
	if r.IntN(2) == 0 {
		v.MaybeText, v.MaybeBig, v.MaybeAt = &text, &v.Big, &v.At
	}
	return v
}

// same compares by reflection, field by field, through pointers.
func same(a, b every) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if !x.Type().Field(i).IsExported() {
			continue
		}
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}

func codec[T any](t testing.TB) *Codec[T] {
	t.Helper()
	c, err := Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSchema(t *testing.T) {
	want := "flag BOOLEAN NOT NULL, tiny TINYINT NOT NULL, small SMALLINT NOT NULL, medium INT NOT NULL, large BIGINT NOT NULL, " +
		"plain BIGINT NOT NULL, real FLOAT NOT NULL, double DOUBLE NOT NULL, text STRING NOT NULL, bytes BYTES NOT NULL, " +
		"at TIMESTAMP(3) NOT NULL, nanos TIMESTAMP_LTZ(9) NOT NULL, day DATE NOT NULL, maybetext STRING, maybebig BIGINT, maybeat TIMESTAMP(3)"
	if got := strings.ReplaceAll(fmt.Sprint(codec[every](t).Schema()), "`", ""); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := fmt.Sprint(codec[string](t).Schema()); !strings.Contains(got, "value") {
		t.Errorf("a text has the columns %s", got)
	}
}

func TestRoundTrip(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	c, r := codec[every](t), rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 3, 1000} {
		values := make([]every, n)
		for i := range values {
			values[i] = random(r)
			values[i].hidden = 7
		}
		columns, err := c.Encode(mem, values)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range c.Schema() {
			if !arrow.TypeEqual(columns[i].DataType(), f.Type.Arrow()) {
				t.Errorf("column %s is %v", f.Name, columns[i].DataType())
			}
		}
		var sel []int32
		for i := range n {
			if r.IntN(3) == 0 {
				sel = append(sel, int32(i))
			}
		}
		all, err := c.Decode(mem, columns, nil, n, nil)
		if err != nil {
			t.Fatal(err)
		}
		some, err := c.Decode(mem, columns, sel, len(sel), make([]every, 2))
		if err != nil {
			t.Fatal(err)
		}
		compute.ReleaseAll(columns)
		for i := range values {
			if !same(values[i], all[i]) {
				t.Fatalf("row %d of %d: %+v, was %+v", i, n, all[i], values[i])
			}
		}
		for i, row := range sel {
			if !same(values[row], some[i]) {
				t.Fatalf("selected row %d: %+v, was %+v", row, some[i], values[row])
			}
		}
	}
}

func TestSlots(t *testing.T) {
	c, r := codec[every](t), rand.New(rand.NewPCG(3, 4))
	var columns []*state.Column
	for _, f := range c.Schema() {
		columns = append(columns, hashtable.NullColumn(f.Type, 10))
	}
	held := 0
	for range 200 {
		slot, v := int32(r.IntN(10)), random(r)
		held += c.Store(columns, slot, &v)
		var back every
		c.Load(columns, slot, &back)
		if !same(v, back) {
			t.Fatalf("%+v, was %+v", back, v)
		}
	}
	if want := int(hashtable.Held(columns)); held != want {
		t.Errorf("texts grew by %d, they hold %d", held, want)
	}
}

func TestNullsAndDictionaries(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	b := array.NewBuilder(mem, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
	defer b.Release()
	for _, s := range []string{"a", "b", "a"} {
		if err := b.AppendString(s); err != nil {
			t.Fatal(err)
		}
	}
	b.AppendNull()
	a := b.NewArray()
	defer a.Release()
	texts, err := codec[string](t).Decode(mem, []arrow.Array{a}, []int32{1, 2}, 2, nil)
	if err != nil || texts[0] != "b" || texts[1] != "a" {
		t.Errorf("got %q, %v", texts, err)
	}
	maybe, err := codec[*string](t).Decode(mem, []arrow.Array{a}, nil, 4, nil)
	if err != nil || *maybe[0] != "a" || maybe[3] != nil {
		t.Errorf("got %v, %v", maybe, err)
	}
	_, err = codec[string](t).Decode(mem, []arrow.Array{a}, nil, 4, nil)
	if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "row 3 is NULL") {
		t.Errorf("got %v", err)
	}
}

func TestRefusedTypes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errOf[struct{ A map[string]int }](), "field A: type map[string]int has no column type"},
		{errOf[struct{}](), "no exported field"},
		{errOf[func()](), "type func() has no column type"},
		{errOf[struct {
			A int32 `tidemill:"a,DOUBLE"`
		}](), "type int32 does not hold DOUBLE"},
		{errOf[struct {
			A int32 `tidemill:"a,DUBLE"`
		}](), "DUBLE"},
		{errOf[struct {
			A int
			B int `tidemill:"a"`
		}](), "two fields are column a"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || failure.Of(c.err) != failure.Usage {
			t.Errorf("got %v, want %q", c.err, c.want)
		}
	}
}

func errOf[T any]() error {
	_, err := Of[T]()
	return err
}

// FuzzRoundTrip compares what comes back with the twin.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(1), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, n uint8) {
		c, r := codec[every](t), rand.New(rand.NewPCG(seed, 0))
		values := make([]every, n)
		for i := range values {
			values[i] = random(r)
		}
		columns, err := c.Encode(memory.DefaultAllocator, values)
		if err != nil {
			t.Fatal(err)
		}
		defer compute.ReleaseAll(columns)
		back, err := c.Decode(memory.DefaultAllocator, columns, nil, len(values), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range values {
			if !same(values[i], back[i]) {
				t.Fatalf("%+v, was %+v", back[i], values[i])
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	c, r := codec[every](b), rand.New(rand.NewPCG(1, 2))
	values := make([]every, 8192)
	for i := range values {
		values[i] = random(r)
	}
	columns, err := c.Encode(memory.DefaultAllocator, values)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if values, err = c.Decode(memory.DefaultAllocator, columns, nil, len(values), values); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(values)), "ns/row")
}

func BenchmarkEncode(b *testing.B) {
	c, r := codec[every](b), rand.New(rand.NewPCG(1, 2))
	values := make([]every, 8192)
	for i := range values {
		values[i] = random(r)
	}
	for b.Loop() {
		columns, err := c.Encode(memory.DefaultAllocator, values)
		if err != nil {
			b.Fatal(err)
		}
		compute.ReleaseAll(columns)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(values)), "ns/row")
}
