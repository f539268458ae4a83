package expr

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

// pool is an allocator that uses memory again, as the tasks' one does.
type pool struct{ free map[int][][]byte }

func (p *pool) Allocate(n int) []byte {
	if l := p.free[n]; len(l) > 0 {
		p.free[n] = l[:len(l)-1]
		return l[len(l)-1]
	}
	return memory.DefaultAllocator.Allocate(n)
}

func (p *pool) Reallocate(n int, b []byte) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	out := p.Allocate(n)
	copy(out, b)
	p.Free(b)
	return out
}

func (p *pool) Free(b []byte) { p.free[cap(b)] = append(p.free[cap(b)], b[:cap(b)]) }

var benchSchema = datatype.Schema{
	{Name: "a", Type: datatype.Of(datatype.BigInt)},
	{Name: "b", Type: datatype.Of(datatype.BigInt)},
	{Name: "f", Type: datatype.Of(datatype.Double)},
	{Name: "price", Type: datatype.DecimalOf(15, 2)},
	{Name: "discount", Type: datatype.DecimalOf(15, 2)},
	{Name: "day", Type: datatype.Of(datatype.Date)},
	{Name: "s", Type: datatype.Of(datatype.Varchar)},
	{Name: "d", Type: datatype.Of(datatype.Varchar)},
	{Name: "n", Type: datatype.Of(datatype.BigInt)},
}

// benchBatch has random columns: s is plain text, d a dictionary of 25 values, n
// has nulls.
func benchBatch(rows int) *stream.Batch {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([][]any, rows)
	for i := range values {
		values[i] = []any{
			r.Int64N(1000), r.Int64N(1000), r.Float64(), r.Int64N(1e7), r.Int64N(11), 8000 + r.Int64N(2500),
			fmt.Sprintf("some text number %d of all", r.IntN(1000)), fmt.Sprintf("value %d", r.IntN(25)), r.Int64N(1000),
		}
		if r.IntN(10) == 0 {
			values[i][8] = nil
		}
	}
	b, err := columnsOf(memory.DefaultAllocator, benchSchema, values)
	if err != nil {
		panic(err)
	}
	columns := append([]arrow.Array(nil), b.Record.Columns()...)
	columns[7] = encode(memory.DefaultAllocator, columns[7], rand.New(rand.NewPCG(2, 2)))
	fields := append([]arrow.Field(nil), b.Record.Schema().Fields()...)
	fields[7].Type = columns[7].DataType()
	return stream.NewBatch(array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(rows)))
}

func BenchmarkFilter(b *testing.B) {
	for _, text := range []string{
		"(< a 500)", "(< n 500)", "(< a b)", "(AND (< a 500) (> b 500))", "(OR (< a 100) (> b 900))", "(< f 0.5e0)",
		"(AND (>= day '1994-01-01'::DATE) (< day '1995-01-01'::DATE) (>= discount 0.05) (<= discount 0.07) (< a 240))",
		"(= d 'value 7')", "(LIKE d '%7')", "(IN d 'value 1' 'value 2' 'value 3')", "(= s 'some text number 7 of all')", "(LIKE s '%7%of%')",
		"(IN a 1 2 3)", "(\"IS NULL\" n)",
	} {
		for _, rows := range []int{4096, 8192} {
			b.Run(fmt.Sprintf("%s/%d", text, rows), func(b *testing.B) {
				batch, p := benchBatch(rows), benchProgram(b, text)
				for b.Loop() {
					if _, err := p.Select(batch); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
			})
		}
	}
}

func benchProgram(b *testing.B, text string) *Program {
	e, err := parseExpr(text, benchSchema)
	if err != nil {
		b.Fatal(err)
	}
	p, err := Compile(Fold(e, builtins(), Options{}), builtins(), Options{Allocator: &pool{free: map[int][][]byte{}}})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func BenchmarkProject(b *testing.B) {
	const rows = stream.TargetRows
	for _, text := range []string{
		"a", "(+ a b)", "(+ (* a 2) b)", "(+ n 1)", "(/ a 7)", "(* f f)", "(* price (- 1 discount))", "(* price discount)", "(+ price discount)",
		"(CAST a INT)", "(CAST a DOUBLE)", "(CAST a STRING)", "(CAST price DOUBLE)", "(EXTRACT 'YEAR' day)", "(EXTRACT 'MONTH' day)",
		"(CASE (< a 500) 1 0)", "(CASE (= d 'value 1') price 0.00)", "(CASE (< a 500) 'low' 'high')", "(COALESCE n 0)",
		"(UPPER d)", "(UPPER s)", "(SUBSTRING s 1 4)", "(|| d 'x')", "(< a 500)", "(CHAR_LENGTH s)", "(REGEXP_EXTRACT s '([0-9]+)' 1)",
		"(CAST day STRING)", "(DATE_FORMAT day 'yyyy-MM')",
	} {
		b.Run(text, func(b *testing.B) {
			batch, p := benchBatch(rows), benchProgram(b, text)
			for b.Loop() {
				arr, err := p.Eval(batch)
				if err != nil {
					b.Fatal(err)
				}
				arr.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
