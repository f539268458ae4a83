package expr

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// pairTypes have a function each that draws values which meet often.
func pairTypes() map[string]datatype.Type {
	of := datatype.Of
	return map[string]datatype.Type{
		"bool": of(datatype.Boolean), "tiny": of(datatype.TinyInt), "small": of(datatype.SmallInt), "int": of(datatype.Int),
		"big": of(datatype.BigInt), "float": of(datatype.Float), "double": of(datatype.Double),
		"short": datatype.DecimalOf(10, 2), "long": datatype.DecimalOf(30, 2), "text": of(datatype.Varchar), "bytes": of(datatype.Varbinary),
		"date": of(datatype.Date), "stamp": of(datatype.Timestamp).WithPrecision(3), "clock": of(datatype.Time).WithPrecision(6),
		"months": of(datatype.IntervalMonth), "millis": of(datatype.IntervalSecond), "list": datatype.ArrayOf(of(datatype.Int)),
	}
}

func draw(r *rand.Rand, t datatype.Type) any {
	switch t.Kind {
	case datatype.Boolean:
		return r.IntN(2) == 0
	case datatype.Float, datatype.Double:
		return []float64{-1.5, 0, math.Copysign(0, -1), 2, math.NaN(), math.Inf(1)}[r.IntN(6)]
	case datatype.Varchar:
		return strings.Repeat("ab", r.IntN(3)) + string(rune('a'+r.IntN(3)))
	case datatype.Varbinary:
		return []byte{byte(r.IntN(3)), byte(r.IntN(2))}
	case datatype.Array:
		return []any{int64(r.IntN(2)), int64(r.IntN(2))}[:r.IntN(3)]
	case datatype.Decimal:
		if t.Precision > 18 {
			return decimal128.FromI64(int64(r.IntN(7) - 3)).Mul(decimal128.FromI64(1_000_000_000_000_000_000))
		}
	}
	return int64(r.IntN(7) - 3)
}

// Kernels agree with the constant form of each row where values differ, with and
// without dictionaries, selections and nulls. x and y are columns of the type, c
// a constant of it.
func TestRandomRows(t *testing.T) {
	everywhere := []string{
		"(= x y)", "(<> x y)", "(= x c)", "(\"IS DISTINCT FROM\" x y)", "(\"IS NOT DISTINCT FROM\" x c)",
		"(CASE p x q y c)", "(CASE p c y)", "(COALESCE x y c)", "(NULLIF x y)", "(IF p x null)", "(\"IS NULL\" x)",
		"(AND (= x y) p)", "(OR q (= x c) p)", "(NOT (OR (<> x y) q))", "(AND p q)", "(OR p q)", "(AND q (OR p (= x y)))",
	}
	ordered := []string{
		"(< x y)", "(<= x y)", "(> x y)", "(>= x y)", "(< x c)", "(<= x c)", "(> x c)", "(>= x c)", "(< c x)", "(>= c x)",
		"(GREATEST x y)", "(LEAST x c y)", "(IN x c)", "(IN x y c)", "(NOT (IN x c y))", "(CAST x STRING)",
	}
	numeric := []string{
		"(+ x y)", "(- x y)", "(* x y)", "(+ x c)", "(- c x)", "(* c x)", "(- x)", "(CASE (<> y 0) (/ x y) x)", "(CASE (<> y 0) (% x y) x)",
		"(ABS x)", "(SIGN x)", "(ROUND x)", "(FLOOR x)", "(CAST x DOUBLE)", "(CAST x BIGINT)", "(CAST x DECIMAL(20, 3))", "(CAST x DECIMAL(8, 1))", "(CAST x BOOLEAN)",
	}
	textual := []string{"(LIKE x y)", "(LIKE x 'a%')", "(|| x y)", "(UPPER x)", "(CONCAT_WS x y c)", "(SUBSTRING x 2)", "(POSITION x y)", "(REPLACE x y 'z')"}
	seed := uint64(0)
	for name, typ := range pairTypes() {
		cases := everywhere
		if typ.Kind != datatype.Array {
			cases = append(cases[:len(cases):len(cases)], ordered...)
		}
		if typ.IsNumeric() {
			cases = append(cases[:len(cases):len(cases)], numeric...)
		}
		if typ.IsString() {
			cases = append(cases[:len(cases):len(cases)], textual...)
		}
		t.Run(name, func(t *testing.T) {
			for _, text := range cases {
				seed++
				randomRows(t, text, typ, seed)
			}
		})
	}
}

func randomRows(t *testing.T, text string, typ datatype.Type, seed uint64) {
	t.Helper()
	boolean := datatype.Of(datatype.Boolean)
	schema := datatype.Schema{{Name: "x", Type: typ}, {Name: "y", Type: typ}, {Name: "p", Type: boolean}, {Name: "q", Type: boolean}}
	for shape := range 8 {
		if shape&2 != 0 && !typ.IsString() && !typ.IsBinary() {
			continue // no dictionaries
		}
		r := rand.New(rand.NewPCG(seed, uint64(shape)))
		e, err := parseExpr(text, append(schema, datatype.Field{Name: "c", Type: typ}))
		if err != nil {
			if shape == 0 && !strings.Contains(err.Error(), "does not take") {
				t.Errorf("%s: %v", text, err)
			}
			return
		}
		constant := &Literal{Value: draw(r, typ), T: typ}
		e = Rewrite(e, func(e Expr) Expr {
			if c, ok := e.(*Column); ok && c.Name == "c" {
				return constant
			}
			return e
		})
		rows := make([][]any, 15)
		if seed%8 == 0 { // beyond a word of a bitmap
			rows = make([][]any, 70)
		}
		for i := range rows {
			rows[i] = []any{draw(r, typ), draw(r, typ), draw(r, boolean), draw(r, boolean)}
			for j := range rows[i] {
				if shape&1 != 0 && r.IntN(4) == 0 {
					rows[i][j] = nil
				}
			}
		}
		randomBatch(t, e, schema, rows, r, shape&2 != 0, shape&4 != 0)
	}
}

func randomBatch(t *testing.T, e Expr, schema datatype.Schema, rows [][]any, r *rand.Rand, dictionary, selected bool) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	b, err := columnsOf(mem, schema, rows)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	if dictionary {
		encodeColumns(mem, b, r)
	}
	if selected {
		b.Sel = []int32{}
		for i := range rows {
			if r.IntN(3) > 0 {
				b.Sel = append(b.Sel, int32(i))
			}
		}
	}
	compareRows(t, mem, e, b, rows)
}
