package expr

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/stream"
)

// The tests write expressions as lists: (+ 1 (ABS -2)). A name with blanks is
// quoted with ", a literal is text in ', a number (5 an INT, 1.5 a DECIMAL, 1e0 a
// DOUBLE), null, true, false, or any of them with ::TYPE; a word is a column.
// (CAST x TYPE) and (TRY_CAST x TYPE) name their type.
type reader struct {
	in      string
	at      int
	columns datatype.Schema
	catalog *function.Catalog
}

// builtins is shared: making it costs more than most cases.
var builtins = sync.OnceValue(function.Builtins)

func parseExpr(s string, columns datatype.Schema) (e Expr, err error) {
	r := &reader{in: s, columns: columns, catalog: builtins()}
	defer func() {
		if p := recover(); p != nil {
			if text, ok := p.(string); ok {
				e, err = nil, fmt.Errorf("%s", text)
				return
			}
			panic(p)
		}
	}()
	return r.expr(), nil
}

func (r *reader) fail(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (r *reader) space() {
	for r.at < len(r.in) && r.in[r.at] == ' ' {
		r.at++
	}
}

func (r *reader) expr() Expr {
	r.space()
	if r.at == len(r.in) {
		r.fail("expression ends early")
	}
	if r.in[r.at] != '(' {
		return r.atom()
	}
	r.at++
	name := r.name()
	var args []Expr
	for {
		r.space()
		if r.in[r.at] == ')' {
			r.at++
			return r.bind(name, args)
		}
		if len(args) == 1 && (name == "CAST" || name == "TRY_CAST") {
			t := r.typeUpTo(')')
			return r.bindCast(name, args[0], t)
		}
		args = append(args, r.expr())
	}
}

func (r *reader) name() string {
	r.space()
	if r.in[r.at] == '"' {
		end := strings.IndexByte(r.in[r.at+1:], '"')
		name := r.in[r.at+1 : r.at+1+end]
		r.at += end + 2
		return name
	}
	start := r.at
	for r.at < len(r.in) && r.in[r.at] != ' ' && r.in[r.at] != ')' {
		r.at++
	}
	return r.in[start:r.at]
}

// typeUpTo reads a type that ends at a blank or at an unmatched end.
func (r *reader) typeUpTo(end byte) datatype.Type {
	r.space()
	depth, start := 0, r.at
	for ; r.at < len(r.in); r.at++ {
		c := r.in[r.at]
		if depth == 0 && (c == end || c == ' ' && end == ' ' || c == ')') {
			break
		}
		switch c {
		case '(', '<':
			depth++
		case ')', '>':
			depth--
		}
	}
	t, err := datatype.Parse(strings.ReplaceAll(r.in[start:r.at], "_", " "))
	if err != nil {
		t, err = datatype.Parse(r.in[start:r.at])
	}
	if err != nil {
		r.fail("%v", err)
	}
	if end == ')' {
		r.at++
	}
	return t
}

func (r *reader) atom() Expr {
	var l *Literal
	if r.in[r.at] == '\'' {
		var b strings.Builder
		for r.at++; r.in[r.at] != '\'' || r.at+1 < len(r.in) && r.in[r.at+1] == '\''; r.at++ {
			b.WriteByte(r.in[r.at])
			if r.in[r.at] == '\'' {
				r.at++
			}
		}
		r.at++
		l = &Literal{Value: b.String(), T: datatype.Of(datatype.Varchar).NotNull()}
	} else {
		start := r.at
		for r.at < len(r.in) && r.in[r.at] != ' ' && r.in[r.at] != ')' && !strings.HasPrefix(r.in[r.at:], "::") {
			r.at++
		}
		word := r.in[start:r.at]
		if i := r.columns.Index(word); i >= 0 {
			return &Column{Index: i, Name: word, T: r.columns[i].Type}
		}
		l = r.word(word)
	}
	if !strings.HasPrefix(r.in[r.at:], "::") {
		return l
	}
	r.at += 2
	t := r.typeUpTo(' ')
	if l.Value == nil {
		return &Literal{T: t}
	}
	e := r.bindCast("CAST", l, t)
	folded := Fold(e, r.catalog, Options{})
	if f, ok := folded.(*Literal); ok {
		return &Literal{Value: f.Value, T: t.NotNull()}
	}
	r.fail("literal %s does not fold", String(e))
	return nil
}

func (r *reader) word(w string) *Literal {
	switch w {
	case "null":
		return &Literal{T: datatype.Of(datatype.Null)}
	case "true", "false":
		return &Literal{Value: w == "true", T: datatype.Of(datatype.Boolean).NotNull()}
	}
	if n, err := strconv.ParseInt(w, 10, 64); err == nil {
		t := datatype.Of(datatype.Int)
		if n != int64(int32(n)) {
			t = datatype.Of(datatype.BigInt)
		}
		return &Literal{Value: n, T: t.NotNull()}
	}
	if strings.ContainsAny(w, "eENI") {
		if f, err := strconv.ParseFloat(w, 64); err == nil {
			return &Literal{Value: f, T: datatype.Of(datatype.Double).NotNull()}
		}
	}
	whole, fraction, _ := strings.Cut(strings.TrimLeft(w, "-"), ".")
	if d, ok := parseDecimal(w, len(fraction)); ok {
		t := datatype.DecimalOf(max(len(strings.TrimLeft(whole, "0"))+len(fraction), 1), len(fraction)).NotNull()
		if t.Precision <= 18 {
			return &Literal{Value: int64(d.LowBits()), T: t}
		}
		return &Literal{Value: d, T: t}
	}
	r.fail("what is %q?", w)
	return nil
}

func argOf(e Expr) function.Arg {
	l, ok := e.(*Literal)
	if !ok {
		return function.Arg{Type: e.Type()}
	}
	return function.Arg{Type: e.Type(), Literal: l.Value, IsLiteral: true}
}

// bind resolves a call and casts its arguments, as the binder does.
func (r *reader) bind(name string, args []Expr) Expr {
	in := make([]function.Arg, len(args))
	for i, a := range args {
		in[i] = argOf(a)
	}
	f, err := r.catalog.ResolveScalar(name, in)
	if err != nil {
		r.fail("%v", err)
	}
	cast := make([]Expr, len(args))
	for i, a := range args {
		if cast[i] = a; !a.Type().Same(f.Args[i]) {
			cast[i] = r.bindCast("CAST", a, f.Args[i])
		}
	}
	return &Call{Function: f.Name, Args: cast, T: f.Return}
}

func (r *reader) bindCast(name string, e Expr, t datatype.Type) Expr {
	f, err := r.catalog.ResolveScalar(name, []function.Arg{argOf(e), {Type: t}})
	if err != nil {
		r.fail("%v", err)
	}
	return &Call{Function: name, Args: []Expr{e}, T: f.Return}
}

var testClock = time.Date(2024, 2, 29, 13, 14, 15, 167_000_000, time.UTC)

func testOptions(mem memory.Allocator) Options {
	return Options{Allocator: mem, Now: func() time.Time { return testClock }, Seed: 1}
}

// evalRow computes a constant expression: the naive twin of every kernel.
func evalRow(e Expr, o Options) (any, error) {
	p, err := Compile(e, builtins(), o)
	if err != nil {
		return nil, err
	}
	arr, err := p.EvalColumns(nil, 1, nil)
	if err != nil {
		return nil, err
	}
	defer arr.Release()
	return compute.ValueAt(arr, 0), nil
}

// printValue writes a physical value as the tests show it.
func printValue(v any, t datatype.Type) string {
	if s, ok := v.(string); ok {
		return "'" + s + "'"
	}
	var b strings.Builder
	printLiteral(&b, v, t)
	return b.String()
}

// columnsOf makes a batch of literal columns.
func columnsOf(mem memory.Allocator, schema datatype.Schema, rows [][]any) (*stream.Batch, error) {
	b := array.NewRecordBuilder(mem, schema.Arrow())
	defer b.Release()
	for _, row := range rows {
		for i, v := range row {
			if err := compute.AppendValue(b.Field(i), v); err != nil {
				return nil, fmt.Errorf("column %s: %w", schema[i].Name, err)
			}
		}
	}
	return stream.NewBatch(b.NewRecordBatch()), nil
}
