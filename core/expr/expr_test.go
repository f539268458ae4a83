package expr

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/stream"
)

var rewrite = flag.Bool("rewrite", false, "write what is into testdata instead of comparing")

// TestFunctions runs testdata/functions: one expression a line, its value and
// type after =>. Each is computed as a constant; then with its literals turned
// into columns, plain and dictionary-encoded, with and without a selection and
// nulls, against the constant form of every row.
func TestFunctions(t *testing.T) {
	files, err := filepath.Glob("testdata/functions/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
			for i, line := range lines {
				if line == "" || line[0] == '#' {
					continue
				}
				text, want, _ := strings.Cut(line, " => ")
				got := evalLine(t, strings.TrimSpace(text))
				if got != want && !*rewrite {
					t.Errorf("%s:%d: %s\n got %s\nwant %s", path, i+1, text, got, want)
				}
				lines[i] = text + " => " + got
			}
			if *rewrite {
				if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func evalLine(t *testing.T, line string) string {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	e, err := parseExpr(line, nil)
	if err != nil {
		return err.Error()
	}
	checkForms(t, e)
	v, err := evalRow(e, testOptions(mem))
	if !hasVolatile(e) {
		checkColumns(t, mem, e)
	}
	if err != nil {
		if failure.Of(err) != failure.UserCode && failure.Of(err) != failure.Internal {
			t.Errorf("%s: class %v", line, failure.Of(err))
		}
		return "error: " + err.Error()
	}
	return printValue(v, e.Type()) + "  " + e.Type().String()
}

func hasVolatile(e Expr) bool {
	found := false
	Walk(e, func(e Expr) bool {
		if c, ok := e.(*Call); ok && isVolatile(c) {
			found = true
		}
		return true
	})
	return found
}

// checkForms sends e through its serialised and folded forms.
func checkForms(t *testing.T, e Expr) {
	t.Helper()
	back, err := FromProto(ToProto(e))
	if err != nil || !Equal(back, e) {
		t.Errorf("%s came back as %v, %v", String(e), back, err)
	}
	folded := Fold(e, builtins(), testOptions(nil))
	want, err := evalRow(e, testOptions(memory.DefaultAllocator))
	if err != nil {
		return
	}
	got, err := evalRow(folded, testOptions(memory.DefaultAllocator))
	if err != nil || printValue(got, e.Type()) != printValue(want, e.Type()) {
		if !hasVolatile(e) {
			t.Errorf("%s folds to %s: %v, %v; want %v", String(e), String(folded), got, err, want)
		}
	}
}

// mustStayLiteral are arguments that kernels read at compile time.
func mustStayLiteral(c *Call, i int) bool {
	switch c.Function {
	case "EXTRACT", "TIMESTAMPADD", "TIMESTAMPDIFF", "JSON_OBJECT", "JSON_ARRAY":
		return i == 0
	case "JSON_VALUE", "JSON_QUERY", "JSON_EXISTS":
		return i == 2
	case "FLOOR", "CEIL", "ROUND", "TRUNCATE", ".":
		return i == 1
	}
	return false
}

// lift replaces the literals of e by columns of their types and returns those.
func lift(e Expr) (Expr, []*Literal) {
	var literals []*Literal
	var walk func(e Expr) Expr
	walk = func(e Expr) Expr {
		switch x := e.(type) {
		case *Literal:
			if x.T.Kind == datatype.Null {
				return x
			}
			literals = append(literals, x)
			name := fmt.Sprintf("c%d", len(literals)-1)
			return &Column{Index: len(literals) - 1, Name: name, T: x.T.WithNull(true)}
		case *Call:
			c := &Call{Function: x.Function, T: x.T.WithNull(true)}
			for i, a := range x.Args {
				if !mustStayLiteral(x, i) {
					a = walk(a)
				}
				c.Args = append(c.Args, a)
			}
			return c
		}
		return e
	}
	return walk(e), literals
}

// checkColumns evaluates e over columns in every shape.
func checkColumns(t *testing.T, mem memory.Allocator, e Expr) {
	t.Helper()
	lifted, literals := lift(e)
	if len(literals) == 0 {
		return
	}
	for shape := range 8 {
		r := rand.New(rand.NewPCG(uint64(shape), 3))
		checkShape(t, mem, lifted, literals, r, shape&1 != 0, shape&2 != 0, shape&4 != 0)
	}
}

func checkShape(t *testing.T, mem memory.Allocator, e Expr, literals []*Literal, r *rand.Rand, dictionary, selected, nulls bool) {
	t.Helper()
	const n = 67
	schema := make(datatype.Schema, len(literals))
	rows := make([][]any, n)
	for i, l := range literals {
		schema[i] = datatype.Field{Name: fmt.Sprintf("c%d", i), Type: l.T.WithNull(true)}
	}
	for i := range rows {
		rows[i] = make([]any, len(literals))
		for j, l := range literals {
			if rows[i][j] = l.Value; nulls && r.IntN(3) == 0 {
				rows[i][j] = nil
			}
		}
	}
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
		for i := range n {
			if r.IntN(2) == 0 {
				b.Sel = append(b.Sel, int32(i))
			}
		}
	}
	compareRows(t, mem, e, b, rows)
}

// compareRows checks a batch against the constant form of each row.
func compareRows(t *testing.T, mem memory.Allocator, e Expr, b *stream.Batch, rows [][]any) {
	t.Helper()
	p, err := Compile(e, builtins(), testOptions(mem))
	if err != nil {
		if failure.Of(err) != failure.Internal {
			t.Errorf("compile %s: %v", String(e), err)
		}
		return
	}
	memo := map[string]string{}
	for range 2 { // the arena is dirty the second time
		got, err := p.Eval(b)
		wantErr := checkAgainstTwin(t, e, got, b, rows, memo)
		if (err != nil) != wantErr {
			t.Errorf("%s: error %v, the rows one by one: %v", String(e), err, wantErr)
		}
		if got != nil {
			got.Release()
		}
	}
	if p.Type().Kind == datatype.Boolean {
		checkSelect(t, p, b)
	}
}

// checkAgainstTwin reports whether any selected row fails alone.
func checkAgainstTwin(t *testing.T, e Expr, got arrow.Array, b *stream.Batch, rows [][]any, memo map[string]string) bool {
	t.Helper()
	for i := range b.Len() {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		key := fmt.Sprint(rows[row])
		want, ok := memo[key]
		if !ok {
			constant := Rewrite(e, func(e Expr) Expr {
				if c, ok := e.(*Column); ok {
					return &Literal{Value: rows[row][c.Index], T: c.T}
				}
				return e
			})
			v, err := evalRow(constant, testOptions(memory.DefaultAllocator))
			if err != nil {
				return true
			}
			want = printValue(v, e.Type())
			memo[key] = want
		}
		if got == nil {
			continue
		}
		if g := printValue(compute.ValueAt(got, row), e.Type()); g != want {
			t.Errorf("%s over %v: got %s, want %s", String(e), rows[row], g, want)
			return false
		}
	}
	return false
}

// checkSelect compares Select with Eval.
func checkSelect(t *testing.T, p *Program, b *stream.Batch) {
	t.Helper()
	arr, err := p.Eval(b)
	if err != nil {
		return
	}
	defer arr.Release()
	sel, err := p.Select(b)
	if err != nil {
		t.Error(err)
	}
	var want, have []int32
	for i := range b.PhysicalRows() {
		if b.Sel == nil || contains(b.Sel, int32(i)) {
			if compute.ValueAt(arr, i) == any(true) {
				want = append(want, int32(i))
			}
			if sel == nil || contains(sel, int32(i)) {
				have = append(have, int32(i))
			}
		}
	}
	if fmt.Sprint(want) != fmt.Sprint(have) {
		t.Errorf("selected %v, true are %v", have, want)
	}
}

func contains(rows []int32, r int32) bool {
	for _, x := range rows {
		if x == r {
			return true
		}
	}
	return false
}

// encodeColumns gives text columns a dictionary, sometimes larger than the rows.
func encodeColumns(mem memory.Allocator, b *stream.Batch, r *rand.Rand) {
	columns := make([]arrow.Array, b.Record.NumCols())
	fields := append([]arrow.Field(nil), b.Record.Schema().Fields()...)
	for i, c := range b.Record.Columns() {
		columns[i] = c
		c.Retain()
		id := c.DataType().ID()
		if id != arrow.STRING && id != arrow.BINARY {
			continue
		}
		columns[i] = encode(mem, c, r)
		fields[i].Type = columns[i].DataType()
		c.Release()
	}
	rec := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, b.Record.NumRows())
	compute.ReleaseAll(columns)
	b.Record.Release()
	b.Record = rec
}

func encode(mem memory.Allocator, arr arrow.Array, r *rand.Rand) arrow.Array {
	dict := array.NewBuilder(mem, arr.DataType())
	defer dict.Release()
	index := array.NewInt32Builder(mem)
	defer index.Release()
	for i := range r.IntN(2) * 100 { // values that no row has; some functions fail on them
		var unused any = fmt.Sprintf("unused %d", i)
		if arr.DataType().ID() == arrow.BINARY {
			unused = []byte(unused.(string))
		}
		if err := compute.AppendValue(dict, unused); err != nil {
			panic(err)
		}
	}
	seen := map[string]int32{}
	for i := range arr.Len() {
		if arr.IsNull(i) {
			index.AppendNull()
			continue
		}
		at, ok := seen[arr.ValueStr(i)]
		if !ok {
			at = int32(dict.Len())
			seen[arr.ValueStr(i)] = at
			if err := compute.AppendValue(dict, compute.ValueAt(arr, i)); err != nil {
				panic(err)
			}
		}
		index.Append(at)
	}
	values, indexes := dict.NewArray(), index.NewArray()
	defer values.Release()
	defer indexes.Release()
	t := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arr.DataType()}
	return array.NewDictionaryArray(t, indexes, values)
}

// Every scalar of the catalogue has a case, so that none is without a kernel.
func TestEveryFunctionHasACase(t *testing.T) {
	files, _ := filepath.Glob("testdata/functions/*")
	var all strings.Builder
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	text := strings.NewReplacer(")", " ", "\"", " ", "(", " ").Replace(all.String())
	for _, name := range builtins().Names(function.Scalar) {
		if !strings.Contains(text, " "+name+" ") {
			t.Errorf("no case in testdata/functions calls %s", name)
		}
	}
}
