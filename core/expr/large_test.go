package expr

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/memory"
)

// Text that is much larger than what it is made of: it must not wrap around in the
// offsets of an array, nor be held beside the ledger, nor travel in a plan.

// evalLarge evaluates an expression over n INT (0 to 7) and s STRING, with at most
// so much text a vector and so much memory.
func evalLarge(t *testing.T, line string, textLimit int, budget int64) (err error) {
	t.Helper()
	ledger, err := memory.New(memory.Options{Limit: budget})
	if err != nil {
		t.Fatal(err)
	}
	e, err := parseExpr(line, datatype.Schema{{Name: "n", Type: datatype.Of(datatype.Int)}, {Name: "s", Type: datatype.Of(datatype.Varchar)}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(e, builtins(), testOptions(ledger.Child("query", 0).Allocator()))
	if err != nil {
		t.Fatal(err)
	}
	p.run.textLimit = textLimit
	columns := largeColumns()
	defer func() {
		for _, c := range columns {
			c.Release()
		}
		if used := ledger.Used(); used != 0 {
			t.Errorf("%s: %d bytes are still charged", line, used)
		}
	}()
	defer memory.Recover(&err)
	arr, err := p.EvalColumns(columns, 8, nil)
	if err == nil {
		arr.Release()
	}
	return err
}

// largeColumns are n, and s: five values of 1 KiB, encoded.
func largeColumns() []arrow.Array {
	n := array.NewInt32Builder(arrowmemory.DefaultAllocator)
	s := array.NewBuilder(arrowmemory.DefaultAllocator, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
	for i := range 8 {
		n.Append(int32(i))
		if err := s.AppendString(strings.Repeat(string(rune('a'+i%5)), 1<<10)); err != nil {
			panic(err)
		}
	}
	return []arrow.Array{n.NewArray(), s.NewArray()}
}

func TestTextBeyondLimits(t *testing.T) {
	const fits, plenty = 1 << 30, 1 << 30
	for _, c := range []struct {
		line      string
		textLimit int
		budget    int64
		want      string // of the error; empty: it succeeds
	}{
		{"(REPEAT s (+ n 1000))", 10 << 20, plenty, ""},
		{"(REPEAT s (+ n 1000))", 4 << 20, plenty, "more than 4194304 bytes; lower execution.batch-rows"},
		{"(REPEAT s (+ n 1000))", fits, 12 << 20, "memory exhausted: query wanted"},
		{"(UPPER (REPEAT s (+ n 1000)))", fits, 16 << 20, "memory exhausted: query wanted"},
		{"(UPPER (REPEAT s (+ n 1000)))", fits, 60 << 20, ""},
		{"(= 'x' (REPEAT s (+ n 1000)))", fits, 3 << 20, "memory exhausted: query wanted"},
		{"(CASE (< n 4) (REPEAT s (+ n 1)) (CONCAT s s))", 12 << 10, plenty, "more than 12288 bytes"},
		{"(UPPER s)", 6 << 10, plenty, "more than 6144 bytes"},
		{"(CAST n CHAR(2000000000))", fits, plenty, "CAST to CHAR(2000000000)"},
		{"(CAST s CHAR(2000000000))", fits, plenty, "the result exceeds 256 MiB"},
		{"(CAST (CAST s BYTES) BINARY(2000000000))", fits, plenty, "the result exceeds 256 MiB"},
		{"(SPLIT s 'x')", 6 << 10, plenty, "more than 6144 bytes"},
		{"(SPLIT (REPEAT s (+ n 1000)) 'a')", fits, 3 << 20, "memory exhausted: query wanted"},
		{"(REGEXP_EXTRACT_ALL s '(.)(.)' 2)", 4 << 10, plenty, ""},
		{"(REGEXP_EXTRACT_ALL s '(.)(.)' 2)", 4000, plenty, "more than 4000 bytes"},
		{"(REPLACE (REPEAT s 300) 'a' (REPEAT s 10))", fits, 3 << 30, "REPLACE: the result exceeds 256 MiB"},
		{"(REGEXP_REPLACE (REPEAT s 300) 'a' (REPEAT s 10))", fits, 3 << 30, "REGEXP_REPLACE: the result exceeds 256 MiB"},
		{"(REGEXP_REPLACE (REPEAT s 300) '' (REPEAT s 10))", fits, 3 << 30, "REGEXP_REPLACE: the result exceeds 256 MiB"},
	} {
		err := evalLarge(t, c.line, c.textLimit, c.budget)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s with %d bytes of text and %d of memory: %v, want %q", c.line, c.textLimit, c.budget, err, c.want)
		}
	}
}

// What is long is computed where it is charged, not while planning.
func TestFoldLeavesLargeText(t *testing.T) {
	for line, folds := range map[string]bool{
		"(REPEAT 'ab' 100)": true, "(REPEAT 'ab' 100000000)": false, "(LPAD 'ab' 100000 'x')": false, "(CHAR_LENGTH (REPEAT 'ab' 50000))": false,
	} {
		e, err := parseExpr(line, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, literal := Fold(e, builtins(), testOptions(nil)).(*Literal)
		if literal != folds {
			t.Errorf("%s: folded %v, want %v", line, literal, folds)
		}
	}
}
