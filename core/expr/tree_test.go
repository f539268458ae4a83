package expr

import (
	"reflect"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/failure"
)

var treeSchema = datatype.Schema{
	{Name: "a", Type: datatype.Of(datatype.Int)},
	{Name: "b", Type: datatype.Of(datatype.BigInt).NotNull()},
	{Name: "s", Type: datatype.Of(datatype.Varchar)},
	{Name: "p", Type: datatype.DecimalOf(15, 2)},
	{Name: "w", Type: datatype.DecimalOf(30, 2)},
	{Name: "day", Type: datatype.Of(datatype.Date)},
	{Name: "ok", Type: datatype.Of(datatype.Boolean)},
	{Name: "f", Type: datatype.Of(datatype.Double)},
	{Name: "r", Type: datatype.RowOf(datatype.Field{Name: "x y", Type: datatype.Of(datatype.Int)})},
}

func tree(t *testing.T, text string) Expr {
	t.Helper()
	e, err := parseExpr(text, treeSchema)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

func TestString(t *testing.T) {
	for text, want := range map[string]string{
		"(> (+ a 1) 5)":                            "(a + 1) > 5",
		"(AND ok (OR (= a 1) (\"IS NULL\" s)))":    "ok AND ((a = 1) OR (s IS NULL))",
		"(NOT (LIKE s 'a''b%'))":                   "NOT (s LIKE 'a''b%')",
		"(LIKE s 'a' '#')":                         "s LIKE 'a' ESCAPE '#'",
		"(IN a 1 2)":                               "a IN (1, 2)",
		"(- a)":                                    "-a",
		"(CASE ok 1 2)":                            "CASE WHEN ok THEN 1 ELSE 2 END",
		"(CAST a BIGINT)":                          "CAST(a AS BIGINT)",
		"(SUBSTRING s 1 2)":                        "SUBSTRING(s, 1, 2)",
		"(< day '1994-01-01'::DATE)":               "day < DATE '1994-01-01'",
		"(+ day 86400000::INTERVAL_DAY_TO_SECOND)": "day + INTERVAL '1 00:00:00.000' DAY TO SECOND",
		"(. r 0)":                                  "r.`x y`",
		"([] (ARRAY a 2) 1)":                       "ARRAY[a, 2][1]",
		"(\"IS NOT DISTINCT FROM\" a null)":        "a IS NOT DISTINCT FROM CAST(NULL AS INT)",
		"(COALESCE p 0.00)":                        "COALESCE(p, CAST(0.00 AS DECIMAL(15, 2)))",
		"(= w 1)":                                  "w = CAST(1 AS DECIMAL(30, 2))",
		"(CONCAT s 'x')":                           "CONCAT(s, 'x')",
		"(= ok true)":                              "ok = TRUE",
		"(> f 1.5e0)":                              "f > 1.5",
		"(TIMESTAMPADD 'DAY' 1 day)":               "TIMESTAMPADD('DAY', CAST(1 AS BIGINT), day)",
		"(CASE ok (CAST null ROW<x INT>) null)":    "CASE WHEN ok THEN CAST(NULL AS ROW<x INT>) ELSE CAST(NULL AS ROW<x INT>) END",
		"(IN s 'a' 'b')":                           "s IN ('a', 'b')",
		"(|| s 'x')":                               "s || 'x'",
		"(\"IS TRUE\" ok)":                         "ok IS TRUE",
		"(EXTRACT 'YEAR' day)":                     "EXTRACT('YEAR', day)",
		"(* (- b) 2)":                              "(-b) * CAST(2 AS BIGINT)",
	} {
		if got := String(tree(t, text)); got != want {
			t.Errorf("%s prints as %s, want %s", text, got, want)
		}
	}
	if got := String(&Column{Index: 3}); got != "$3" {
		t.Errorf("nameless column prints as %s", got)
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"(+ a (+ 1 2))":           "a + 3",
		"(= w 1)":                 "w = 1.00",
		"(AND ok true)":           "ok",
		"(AND ok false)":          "FALSE",
		"(AND true true)":         "TRUE",
		"(OR ok (= 1 1))":         "TRUE",
		"(OR false ok)":           "ok",
		"(AND ok true (= a 1))":   "ok AND (a = 1)",
		"(CASE true a 2)":         "a",
		"(CASE (= 1 2) a ok 3 4)": "CASE WHEN ok THEN 3 ELSE 4 END",
		"(CASE null a b)":         "b",
		"(CASE ok a true 2 3)":    "CASE WHEN ok THEN a ELSE 2 END",
		"(+ a (/ 1 0))":           "a + (1 / 0)",
		"(RAND)":                  "RAND()",
		"(> day (- '1998-12-01'::DATE 7776000000::INTERVAL_DAY_TO_SECOND))": "day > DATE '1998-09-02'",
	} {
		if got := String(Fold(tree(t, text), builtins(), Options{})); got != want {
			t.Errorf("%s folds to %s, want %s", text, got, want)
		}
	}
}

func TestToPredicate(t *testing.T) {
	for text, want := range map[string]string{
		"(= a 1)":                               "a = 1 exact",
		"(> 5 a)":                               "a < 5 exact",
		"(= b 1)":                               "b = 1 exact",
		"(>= a 3000000000)":                     "a >= 3000000000 exact",
		"(AND (= a 1) (> (+ a 1) 5))":           "a = 1 partly",
		"(OR (= a 1) (> (+ a 1) 5))":            " partly",
		"(OR (= a 1) (= s 'x'))":                "a = 1 OR s = 'x' exact",
		"(AND (OR (= a 1) (= a 2)) (<> s 'x'))": "(a = 1 OR a = 2) AND s <> 'x' exact",
		"(IN a 1 2)":                            "a IN (1, 2) exact",
		"(IN a 1 null)":                         " partly",
		"(\"IS NULL\" s)":                       "s IS NULL exact",
		"ok":                                    "ok = true exact",
		"(NOT ok)":                              "ok = false exact",
		"(< p 24)":                              "p < 2400 exact",
		"(< day '1994-01-01'::DATE)":            "day < 8766 exact",
		"(= a 1.5)":                             " partly",
		"(= s 'it''s')":                         "s = 'it''s' exact",
		"(= f NaN)":                             " partly",
		"true":                                  " exact",
		"(= a b)":                               " partly",
		"(AND (>= w 1) (< w 2))":                "w >= {100 0} AND w < {200 0} exact",
	} {
		p, exact := ToPredicate(Fold(tree(t, text), builtins(), Options{}))
		got := p.String() + " partly"
		if exact {
			got = p.String() + " exact"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestTree(t *testing.T) {
	e := tree(t, "(AND (= a 1) (AND ok (> b (+ a 2))))")
	if got := Columns(e, tree(t, "s")); !reflect.DeepEqual(got, []int{0, 1, 2, 6}) {
		t.Errorf("columns %v", got)
	}
	if got := Conjuncts(e); len(got) != 3 || String(And(got...)) != "(a = 1) AND ok AND (b > CAST(a + 2 AS BIGINT))" {
		t.Errorf("conjuncts %v", got)
	}
	moved := MapColumns(e, []int{7, 1, 2, 3, 4, 5, 6})
	if got := Columns(moved); !reflect.DeepEqual(got, []int{1, 6, 7}) || !reflect.DeepEqual(Columns(e), []int{0, 1, 6}) {
		t.Errorf("moved columns %v", got)
	}
	if same := Rewrite(e, func(e Expr) Expr { return e }); same != e {
		t.Error("a rewrite that changes nothing copies")
	}
	if Equal(e, moved) || !Equal(e, tree(t, "(AND (= a 1) (AND ok (> b (+ a 2))))")) {
		t.Error("Equal is wrong")
	}
	if b, ok := And().(*Literal); !ok || b.Value != true {
		t.Error("And() is not TRUE")
	}
}

// What the binder would never build is refused when compiled, not when run.
func TestCompileRefuses(t *testing.T) {
	boolean := datatype.Of(datatype.Boolean)
	a, s, ok := tree(t, "a"), tree(t, "s"), tree(t, "ok")
	for _, e := range []Expr{
		&Call{Function: "NO_SUCH", T: boolean},
		&Call{Function: "SUM", Args: []Expr{a}, T: a.Type()},
		&Call{Function: "=", Args: []Expr{a, s}, T: boolean},
		&Call{Function: "AND", Args: []Expr{ok, a}, T: boolean},
		&Call{Function: "CASE", Args: []Expr{ok, a, s}, T: a.Type()},
		&Call{Function: "COALESCE", Args: []Expr{a, s}, T: a.Type()},
		&Call{Function: "CAST", Args: []Expr{tree(t, "day")}, T: a.Type()},
		&Call{Function: "EXTRACT", Args: []Expr{s, tree(t, "day")}, T: a.Type()},
		&Call{Function: ".", Args: []Expr{tree(t, "r"), &Literal{Value: int64(7), T: a.Type()}}, T: a.Type()},
		&Literal{Value: "x", T: a.Type()},
	} {
		if _, err := Compile(e, builtins(), Options{}); failure.Of(err) != failure.Internal {
			t.Errorf("%s: %v", String(e), err)
		}
	}
}

func TestFromProtoRefuses(t *testing.T) {
	deep := &exprpb.Expr{Type: "INT", Node: &exprpb.Expr_Column{}}
	for range maxDepth + 1 {
		deep = &exprpb.Expr{Type: "INT", Node: &exprpb.Expr_Call{Call: &exprpb.Call{Function: "-", Args: []*exprpb.Expr{deep}}}}
	}
	for _, p := range []*exprpb.Expr{
		nil,
		{},
		{Type: "INT"},
		{Type: "BANANA", Node: &exprpb.Expr_Column{}},
		deep,
		{Type: "INT", Node: &exprpb.Expr_Literal{Literal: &exprpb.Literal{Value: &exprpb.Literal_Decimal128{Decimal128: []byte{1}}}}},
	} {
		if _, err := FromProto(p); failure.Of(err) != failure.Internal {
			t.Errorf("%v: %v", p, err)
		}
	}
}

// A batch without rows, or whose columns are not the plan's.
func TestStrangeBatches(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	empty, err := columnsOf(mem, treeSchema, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Release()
	for _, text := range []string{"a", "(+ a 1)", "(UPPER s)", "(= s 'x')", "ok", "(NOT ok)", "(CASE ok a 1)", "(. r 0)", "(* p p)", "(AND ok (= s 'x'))", "5"} {
		p, err := Compile(tree(t, text), builtins(), Options{Allocator: mem})
		if err != nil {
			t.Fatal(err)
		}
		arr, err := p.Eval(empty)
		if err != nil || arr.Len() != 0 {
			t.Errorf("%s over no rows: %v, %v", text, arr, err)
			continue
		}
		arr.Release()
	}
	p, err := Compile(&Column{Index: 2, T: datatype.Of(datatype.BigInt)}, builtins(), Options{Allocator: mem})
	if err != nil {
		t.Fatal(err)
	}
	one, err := columnsOf(mem, treeSchema, [][]any{{int64(1), int64(2), "x", nil, nil, nil, nil, nil, nil}})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Release()
	if _, err := p.Eval(one); failure.Of(err) != failure.Internal {
		t.Errorf("text read as BIGINT: %v", err)
	}
	beyond, _ := Compile(&Column{Index: 99, T: datatype.Of(datatype.BigInt)}, builtins(), Options{Allocator: mem})
	if _, err := beyond.Eval(one); failure.Of(err) != failure.Internal {
		t.Errorf("column 99: %v", err)
	}
}

// A bare column is handed on, not copied; a selection that keeps all rows too.
func TestNoCopies(t *testing.T) {
	b, err := columnsOf(memory.DefaultAllocator, treeSchema, [][]any{{int64(1), int64(2), "x", nil, nil, nil, true, nil, nil}})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := Compile(tree(t, "a"), builtins(), Options{})
	arr, err := p.Eval(b)
	if err != nil || arr != b.Column(0) {
		t.Errorf("a copy: %v", err)
	}
	keep, _ := Compile(tree(t, "(= a 1)"), builtins(), Options{})
	if sel, err := keep.Select(b); sel != nil || err != nil {
		t.Errorf("selection %v, %v", sel, err)
	}
	none, _ := Compile(tree(t, "(= a 2)"), builtins(), Options{})
	if sel, err := none.Select(b); sel == nil || len(sel) != 0 || err != nil {
		t.Errorf("selection %v, %v", sel, err)
	}
}

// Times with a zone follow the session's, also where it changes its offset.
func TestZones(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(memory.DefaultAllocator)
	o.Location = berlin
	for text, want := range map[string]string{
		"(CAST (TO_TIMESTAMP_LTZ 0 0) STRING)":                                                              "'1970-01-01 01:00:00.000'",
		"(CAST (TO_TIMESTAMP_LTZ 0 0) TIMESTAMP(3))":                                                        "TIMESTAMP '1970-01-01 01:00:00.000'",
		"(CAST (CAST (TO_TIMESTAMP_LTZ '2024-03-31 03:30:00') TIMESTAMP_LTZ(3)) STRING)":                    "'2024-03-31 03:30:00.000'",
		"(EXTRACT 'HOUR' (TO_TIMESTAMP_LTZ '2024-07-01 12:00:00'))":                                         "12",
		"(CAST (TO_TIMESTAMP_LTZ 1719784800 0) DATE)":                                                       "DATE '2024-07-01'",
		"(CAST (CAST '2024-07-01'::DATE TIMESTAMP_LTZ(3)) STRING)":                                          "'2024-07-01 00:00:00.000'",
		"(CAST (FLOOR (TO_TIMESTAMP_LTZ '2024-07-01 12:00:00') 'DAY') STRING)":                              "'2024-07-01 00:00:00.000'",
		"(CAST (TO_TIMESTAMP_LTZ '2024-07-01 12:34:56') TIME(0))":                                           "TIME '12:34:56'",
		"(CAST ($TUMBLE_START (TO_TIMESTAMP_LTZ '2024-07-01 12:34:56') 86400000::BIGINT 0::BIGINT) STRING)": "'2024-07-01 00:00:00.000'",
		"(FROM_UNIXTIME 0)":                      "'1970-01-01 01:00:00'",
		"(UNIX_TIMESTAMP '1970-01-01 01:00:00')": "0",
		"(CURRENT_DATE)":                         "DATE '2024-02-29'",
		"(LOCALTIMESTAMP)":                       "TIMESTAMP '2024-02-29 14:14:15.167'",
		"(CAST (CURRENT_TIMESTAMP) STRING)":      "'2024-02-29 14:14:15.167'",
		"(CURRENT_TIME)":                         "TIME '14:14:15'",
	} {
		e := tree(t, text)
		v, err := evalRow(e, o)
		if got := printValue(v, e.Type()); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}

// Rows that do not count cannot fail, also behind conditions.
func TestUnselectedRowsCannotFail(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	b, err := columnsOf(mem, treeSchema[:2], [][]any{{int64(10), int64(0)}, {int64(10), int64(2)}, {nil, int64(0)}, {int64(10), int64(5)}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	for text, want := range map[string][]any{
		"(CASE (<> b 0) (/ a b) -1)":        {int64(-1), int64(5), int64(-1), int64(2)},
		"(AND (<> b 0) (> (/ a b) 3))":      {false, true, false, false},
		"(OR (= b 0) (> (/ a b) 3))":        {true, true, true, false},
		"(COALESCE (NULLIF b 0) (/ a 1) 7)": {int64(10), int64(2), int64(7), int64(5)},
		"(IF (= b 0) 0 (/ a b))":            {int64(0), int64(5), int64(0), int64(2)},
	} {
		p, err := Compile(tree(t, text), builtins(), Options{Allocator: mem})
		if err != nil {
			t.Fatal(err)
		}
		arr, err := p.Eval(b)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i, w := range want {
			if got := compute.ValueAt(arr, i); got != w {
				t.Errorf("%s, row %d: %v, want %v", text, i, got, w)
			}
		}
		arr.Release()
	}
	p, _ := Compile(tree(t, "(/ a b)"), builtins(), Options{Allocator: mem})
	if _, err := p.Eval(b); failure.Of(err) != failure.UserCode {
		t.Errorf("division by zero: %v", err)
	}
	b.Sel = []int32{1, 3}
	arr, err := p.Eval(b)
	if err != nil {
		t.Fatal(err)
	}
	arr.Release()
}
