package function

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
)

// signature is one way to call a function.
type signature struct {
	params   []param
	required int
	repeated bool // the last parameter may repeat
	result   result
}

type param struct {
	class string
	kinds []datatype.Kind // accepted as they are
	to    datatype.Type   // else cast to this, when valid
}

// result is a type, or the type of argument number arg.
type result struct {
	fixed  datatype.Type
	arg    int
	always bool // always nullable
	never  bool // never null
}

// classes are the lower-case words of signature text. A class with a target
// casts what it accepts to one type; one without keeps the argument's type.
var classes = map[string]param{
	"any":       {kinds: span(datatype.Null, datatype.Row)},
	"bool":      {kinds: []datatype.Kind{datatype.Boolean}, to: datatype.Of(datatype.Boolean)},
	"int":       {kinds: []datatype.Kind{datatype.Int}, to: datatype.Of(datatype.Int)},
	"bigint":    {kinds: []datatype.Kind{datatype.BigInt}, to: datatype.Of(datatype.BigInt)},
	"double":    {kinds: []datatype.Kind{datatype.Double}, to: datatype.Of(datatype.Double)},
	"numeric":   {kinds: span(datatype.TinyInt, datatype.Double)},
	"integer":   {kinds: span(datatype.TinyInt, datatype.BigInt)},
	"decimal":   {kinds: []datatype.Kind{datatype.Decimal}},
	"string":    {kinds: []datatype.Kind{datatype.Char, datatype.Varchar}, to: datatype.Of(datatype.Varchar)},
	"binary":    {kinds: []datatype.Kind{datatype.Binary, datatype.Varbinary}},
	"date":      {kinds: []datatype.Kind{datatype.Date}},
	"time":      {kinds: []datatype.Kind{datatype.Time}},
	"timestamp": {kinds: []datatype.Kind{datatype.Timestamp, datatype.TimestampLTZ}},
	"day":       {kinds: []datatype.Kind{datatype.Date, datatype.Timestamp, datatype.TimestampLTZ}},
	"clock":     {kinds: span(datatype.Time, datatype.TimestampLTZ)},
	"temporal":  {kinds: span(datatype.Date, datatype.TimestampLTZ)},
	"interval":  {kinds: []datatype.Kind{datatype.IntervalMonth, datatype.IntervalSecond}},
	"array":     {kinds: []datatype.Kind{datatype.Array}},
	"map":       {kinds: []datatype.Kind{datatype.Map}},
	"unit":      {kinds: []datatype.Kind{datatype.Char, datatype.Varchar}},
}

func span(from, to datatype.Kind) (kinds []datatype.Kind) {
	for k := from; k <= to; k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// scalar defines a function by signature texts; the first that fits without a
// cast wins, then the first that fits with one.
func scalar(name string, texts ...string) definition { return define(Scalar, name, texts) }

// random defines a scalar that is not deterministic.
func random(name string, texts ...string) definition {
	d := define(Scalar, name, texts)
	d.random = true
	return d
}

func define(kind Kind, name string, texts []string) definition {
	d := definition{name: name, kind: kind}
	signatures := make([]signature, len(texts))
	for i, t := range texts {
		params, out, ok := strings.Cut(t, "->")
		if !ok {
			panic("function: signature without a result: " + name + " " + t)
		}
		signatures[i] = parseSignature(name, strings.TrimSpace(params), strings.TrimSpace(out))
		d.results = append(d.results, strings.TrimSpace(out))
		d.usage = append(d.usage, fmt.Sprintf("%s(%s)", name, strings.TrimSpace(params)))
	}
	d.resolve = func(args []Arg) (Resolved, bool) {
		for _, casts := range []bool{false, true} {
			for _, s := range signatures {
				if r, ok := s.match(args, casts); ok {
					return r, true
				}
			}
		}
		return Resolved{}, false
	}
	return d
}

func parseSignature(name, params, out string) signature {
	s := signature{}
	for _, word := range strings.Split(params, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		bare, repeated := strings.CutSuffix(word, "...")
		bare, optional := strings.CutSuffix(bare, "?")
		p, ok := classes[bare]
		if !ok {
			panic("function: " + name + ": unknown class " + bare)
		}
		p.class = bare
		s.params, s.repeated = append(s.params, p), repeated
		if !optional && !repeated {
			s.required = len(s.params)
		}
	}
	out, s.result.always = strings.CutSuffix(out, "?")
	out, s.result.never = strings.CutSuffix(out, "!")
	if _, err := fmt.Sscanf(out, "$%d", &s.result.arg); err == nil {
		return s
	}
	t, err := datatype.Parse(out)
	if err != nil {
		panic("function: " + name + ": " + err.Error())
	}
	s.result.fixed = t
	return s
}

func (s signature) match(args []Arg, casts bool) (Resolved, bool) {
	if len(args) < s.required || len(args) > len(s.params) && !s.repeated {
		return Resolved{}, false
	}
	types := make([]datatype.Type, len(args))
	for i, a := range args {
		t, ok := s.params[min(i, len(s.params)-1)].accept(a, casts)
		if !ok {
			return Resolved{}, false
		}
		types[i] = t
	}
	return Resolved{Args: types, Return: s.result.of(types)}, true
}

// accept returns the type that the argument is to have.
func (p param) accept(a Arg, casts bool) (datatype.Type, bool) {
	if a.Type.Is(p.kinds...) {
		if p.class == "unit" && !a.IsLiteral {
			return datatype.Type{}, false
		}
		return a.Type, true
	}
	switch {
	case !casts || p.class == "unit":
		return datatype.Type{}, false
	case a.Type.Kind == datatype.Null && p.to.Kind != datatype.Invalid:
		return p.to, true
	case a.Type.Kind == datatype.Null:
		return datatype.Of(p.kinds[0]), true
	case p.to.Kind == datatype.Invalid:
		return datatype.Type{}, false
	case p.class == "int" && a.Type.IsInteger(): // lengths and positions are often BIGINT
		return p.to.WithNull(a.Type.Nullable), true
	case CanCast(a.Type, p.to, true):
		return p.to.WithNull(a.Type.Nullable), true
	default:
		return datatype.Type{}, false
	}
}

func (r result) of(args []datatype.Type) datatype.Type {
	t := r.fixed
	if r.arg > 0 {
		t = args[r.arg-1]
	}
	return t.WithNull(!r.never && (r.always || anyNullable(args)))
}

func anyNullable(types []datatype.Type) bool {
	for _, t := range types {
		if t.Nullable {
			return true
		}
	}
	return false
}

func typesOf(args []Arg) []datatype.Type {
	types := make([]datatype.Type, len(args))
	for i, a := range args {
		types[i] = a.Type
	}
	return types
}
