package expr

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// jsonFunction finds the kernels on JSON. The clauses of a call come as letters in
// a literal: see the table of JSON functions in core/function.
func (c *compiler) jsonFunction(x *Call) (k kernel, strict bool, err error) {
	switch x.Function {
	case "IS JSON VALUE", "IS JSON OBJECT", "IS JSON ARRAY", "IS JSON SCALAR":
		return isJSON(x.Function), false, nil
	case "JSON_STRING":
		return c.jsonText(x, "rv", ""), true, nil
	case "JSON_QUOTE":
		return textKernel(func(b, s []byte) []byte { return appendJSONString(b, s) }), true, nil
	case "JSON_UNQUOTE":
		return textKernel(jsonUnquote), true, nil
	case "JSON_VALUE", "JSON_QUERY", "JSON_EXISTS", "JSON_OBJECT", "JSON_ARRAY":
	default:
		return nil, false, nil
	}
	at := 2
	if x.Function == "JSON_OBJECT" || x.Function == "JSON_ARRAY" {
		at = 0
	}
	clauses, err := jsonClauses(x, at)
	if err != nil {
		return nil, false, err
	}
	switch x.Function {
	case "JSON_VALUE":
		return jsonValue(clauses), false, nil
	case "JSON_QUERY":
		return jsonQuery(clauses), true, nil
	case "JSON_EXISTS":
		return jsonExists(clauses), true, nil
	default:
		return c.jsonText(x, clauses, strings.TrimPrefix(x.Function, "JSON_")), false, nil
	}
}

func jsonClauses(x *Call, at int) (string, error) {
	if len(x.Args) <= at {
		return "", fmt.Errorf("%s without its clauses", x.Function)
	}
	l, ok := x.Args[at].(*Literal)
	if !ok {
		return "", fmt.Errorf("clauses of %s are not a literal", x.Function)
	}
	s, ok := l.Value.(string)
	if !ok || at > 0 && len(s) != map[string]int{"JSON_VALUE": 2, "JSON_QUERY": 3, "JSON_EXISTS": 1}[x.Function] || at == 0 && len(s) != len(x.Args) {
		return "", fmt.Errorf("clauses of %s are %v", x.Function, l.Value)
	}
	return s, nil
}

// isJSON is never null: NULL is no JSON.
func isJSON(name string) kernel {
	kind := strings.TrimPrefix(name, "IS JSON ")
	return boolOf(func(a *arguments, r int32) bool {
		if a.isNull(0, r) {
			return false
		}
		s := a.s(0, r)
		if !json.Valid(s) {
			return false
		}
		first := strings.TrimLeft(string(s), " \t\r\n")[0]
		switch kind {
		case "OBJECT":
			return first == '{'
		case "ARRAY":
			return first == '['
		case "SCALAR":
			return first != '{' && first != '['
		default:
			return true
		}
	})
}

// jsonUnquote takes the quotation marks off a JSON string; other text is kept.
func jsonUnquote(b, s []byte) []byte {
	var text string
	if len(s) >= 2 && s[0] == '"' && json.Unmarshal(s, &text) == nil {
		return append(b, text...)
	}
	return append(b, s...)
}

// jsonAnswer is what a path gives: a value, nothing, or an error.
type jsonAnswer struct {
	value   any
	missing bool
	err     error
}

func isJSONScalar(v any) bool {
	switch v.(type) {
	case []any, *jsonObject:
		return false
	default:
		return true
	}
}

// ask follows the path of the second argument through the document of the first.
func (c *jsonPaths) ask(a *arguments, r int32) (jsonAnswer, *jsonPath, error) {
	p, err := c.of(a.s(1, r))
	if err != nil {
		return jsonAnswer{}, nil, err
	}
	v, ok := parseJSON(a.s(0, r))
	if !ok {
		return jsonAnswer{err: failure.Errorf(failure.UserCode, "the text is no JSON")}, p, nil
	}
	found, missing := p.find(v)
	if missing && !p.lax {
		return jsonAnswer{err: failure.Errorf(failure.UserCode, "strict JSON path '%s' finds nothing", a.s(1, r))}, p, nil
	}
	return jsonAnswer{value: found, missing: missing || found == nil}, p, nil
}

// jsonValue is JSON_VALUE: a scalar as text. What is missing or null follows ON
// EMPTY; an array or object is missing to a lax path and an error to a strict one.
func jsonValue(clauses string) kernel {
	return func(k *call) error {
		a, out, cache, fresh := k.arguments(), k.textOut(), jsonPaths{}, false
		for _, r := range k.rows() {
			if !out.begin(r) {
				break
			}
			if a.isNull(0, r) || a.isNull(1, r) {
				k.setNull(r, &fresh)
				continue
			}
			got, p, err := cache.ask(a, r)
			if err != nil {
				return err
			}
			if got.err == nil && !isJSONScalar(got.value) {
				if got.missing = p.lax; !p.lax {
					got.err = failure.Errorf(failure.UserCode, "the path finds no scalar")
				}
			}
			do, other := byte('v'), 3
			if got.err != nil {
				do, other = clauses[1], 4
			} else if got.missing {
				do, got.err = clauses[0], failure.Errorf(failure.UserCode, "the path finds nothing")
			}
			switch {
			case do == 'e':
				return fmt.Errorf("JSON_VALUE: %w", got.err)
			case do == 'd' && !a.isNull(other, r):
				out.data = append(out.data, a.s(other, r)...)
			case do == 'v':
				out.data = appendJSONScalar(out.data, got.value)
			default:
				k.setNull(r, &fresh)
			}
		}
		return out.end()
	}
}

func appendJSONScalar(b []byte, v any) []byte {
	if s, ok := v.(string); ok {
		return append(b, s...)
	}
	return appendJSON(b, v)
}

// jsonQuery is JSON_QUERY: an array or object as JSON text; a scalar only inside
// of a wrapper.
func jsonQuery(clauses string) kernel {
	return func(k *call) error {
		a, out, cache, fresh := k.arguments(), k.textOut(), jsonPaths{}, false
		for _, r := range k.rows() {
			if !out.begin(r) {
				break
			}
			got, p, err := cache.ask(a, r)
			if err != nil {
				return err
			}
			if got.err == nil && !got.missing {
				got = wrapJSON(got, p, clauses[0])
			}
			do := byte('v')
			if got.err != nil {
				do = clauses[2]
			} else if got.missing {
				do, got.err = clauses[1], failure.Errorf(failure.UserCode, "the path finds nothing")
			}
			switch do {
			case 'v':
				out.data = appendJSON(out.data, got.value)
			case 'a':
				out.data = append(out.data, "[]"...)
			case 'o':
				out.data = append(out.data, "{}"...)
			case 'e':
				return fmt.Errorf("JSON_QUERY: %w", got.err)
			default:
				k.setNull(r, &fresh)
			}
		}
		return out.end()
	}
}

func wrapJSON(got jsonAnswer, p *jsonPath, wrapper byte) jsonAnswer {
	_, list := got.value.([]any)
	switch {
	case wrapper == 'u' || wrapper == 'c' && !list:
		got.value = []any{got.value}
	case isJSONScalar(got.value) && p.lax:
		got.missing = true
	case isJSONScalar(got.value):
		got.err = failure.Errorf(failure.UserCode, "the path finds a scalar")
	}
	return got
}

func jsonExists(clauses string) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		clear(k.out.data)
		a, cache, fresh := k.arguments(), jsonPaths{}, false
		for _, r := range k.rows() {
			p, err := cache.of(a.s(1, r))
			if err != nil {
				return err
			}
			v, ok := parseJSON(a.s(0, r))
			found, missing := p.find(v)
			if list, several := found.([]any); p.many && several {
				missing = len(list) == 0
			}
			switch broken := !ok || missing && !p.lax; {
			case broken && clauses == "e":
				return failure.Errorf(failure.UserCode, "JSON_EXISTS: the text is no JSON, or a strict path finds nothing")
			case broken && clauses == "u":
				k.setNull(r, &fresh)
			case broken && clauses == "t" || !broken && !missing:
				setBit(k.out.data, int(r))
			}
		}
		return nil
	}
}

// jsonText writes values as JSON: one, an OBJECT or an ARRAY. The letters say what
// becomes of nulls (n: null, a: absent) and of each argument (v: any value, r: text
// that is JSON already).
func (c *compiler) jsonText(x *Call, clauses, shape string) kernel {
	formats := make([]func(v *vector) rowFormat, len(x.Args))
	first, each := 1, 1
	switch shape {
	case "":
		first = 0
	case "OBJECT":
		each = 2
	}
	for i := first; i < len(x.Args); i++ {
		formats[i] = jsonFormatter(x.Args[i].Type(), c.env, shape != "" && clauses[i] == 'r')
	}
	return func(k *call) error {
		a, out := k.arguments(), k.textOut()
		writers := make([]rowFormat, len(formats))
		for i, f := range formats {
			if f != nil && !k.args[i].null {
				writers[i] = f(k.args[i])
			}
		}
		for _, r := range k.rows() {
			if !out.begin(r) {
				break
			}
			if shape == "" {
				out.data = writers[0](out.data, r)
				continue
			}
			open := len(out.data)
			out.data = append(out.data, map[int]byte{1: '[', 2: '{'}[each])
			for i := first; i+each <= len(k.args); i += each {
				value := i + each - 1
				if clauses[0] == 'a' && a.isNull(value, r) {
					continue
				}
				if len(out.data) > open+1 {
					out.data = append(out.data, ',')
				}
				if each == 2 {
					if a.isNull(i, r) {
						return failure.Errorf(failure.UserCode, "JSON_OBJECT: a key is NULL")
					}
					out.data = append(appendJSONString(out.data, a.s(i, r)), ':')
				}
				if a.isNull(value, r) {
					out.data = append(out.data, "null"...)
					continue
				}
				out.data = writers[value](out.data, r)
			}
			out.data = append(out.data, map[int]byte{1: ']', 2: '}'}[each])
		}
		return out.end()
	}
}

// jsonFormatter writes values of a type that are not null.
func jsonFormatter(t datatype.Type, env *environment, raw bool) func(v *vector) rowFormat {
	plain := rowFormatter(t, env)
	switch {
	case t.Kind == datatype.Null:
		return func(*vector) rowFormat {
			return func(b []byte, _ int32) []byte { return append(b, "null"...) }
		}
	case t.IsBinary():
		return func(v *vector) rowFormat {
			in := v.text()
			return func(b []byte, r int32) []byte {
				return appendJSONString(b, base64.StdEncoding.EncodeToString(in.at(int(r))))
			}
		}
	case t.IsString():
		return func(v *vector) rowFormat {
			in := v.text()
			return func(b []byte, r int32) []byte {
				if raw {
					return append(b, in.at(int(r))...)
				}
				return appendJSONString(b, in.at(int(r)))
			}
		}
	case t.Kind == datatype.Boolean:
		return jsonPlain(plain, false)
	case t.IsNumeric():
		return jsonPlain(plain, !t.Is(datatype.Float, datatype.Double))
	case layoutOf(t) == nestedLayout:
		return func(v *vector) rowFormat {
			return func(b []byte, r int32) []byte { return appendJSONNested(b, v.arr, int(r)&v.mask(), t, env) }
		}
	default:
		return func(v *vector) rowFormat {
			f := plain(v)
			return func(b []byte, r int32) []byte { return appendJSONString(b, f(nil, r)) }
		}
	}
}

// jsonPlain writes what is JSON as it stands. Numbers that are not finite are text,
// and TRUE and FALSE are written small.
func jsonPlain(of func(v *vector) rowFormat, always bool) func(v *vector) rowFormat {
	return func(v *vector) rowFormat {
		f := of(v)
		if always {
			return f
		}
		return func(b []byte, r int32) []byte { return appendJSONPlain(b, f(nil, r)) }
	}
}

func appendJSONPlain(b, s []byte) []byte {
	switch {
	case len(s) > 0 && (s[0] == 'T' || s[0] == 'F'):
		return append(b, strings.ToLower(string(s))...)
	case json.Valid(s):
		return append(b, s...)
	default:
		return appendJSONString(b, s)
	}
}

// appendJSONNested writes arrays as arrays, maps and rows as objects.
func appendJSONNested(b []byte, arr arrow.Array, i int, t datatype.Type, env *environment) []byte {
	if arr.IsNull(i) {
		return append(b, "null"...)
	}
	switch a := arr.(type) {
	case *array.Map:
		if t.Kind == datatype.Multiset {
			count := datatype.Of(datatype.Int)
			t = datatype.MapOf(*t.Elem, count)
		}
		from, to := a.ValueOffsets(i)
		b = append(b, '{')
		for e := from; e < to; e++ {
			if e > from {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, appendNested(nil, a.Keys(), int(e), *t.Key, env)), ':')
			b = appendJSONNested(b, a.Items(), int(e), *t.Elem, env)
		}
		return append(b, '}')
	case *array.List:
		from, to := a.ValueOffsets(i)
		b = append(b, '[')
		for e := from; e < to; e++ {
			if e > from {
				b = append(b, ',')
			}
			b = appendJSONNested(b, a.ListValues(), int(e), *t.Elem, env)
		}
		return append(b, ']')
	case *array.Struct:
		b = append(b, '{')
		for f := range a.NumField() {
			if f > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, t.Fields[f].Name), ':')
			b = appendJSONNested(b, a.Field(f), i, t.Fields[f].Type, env)
		}
		return append(b, '}')
	}
	if value, ok := compute.ValueAt(arr, i).([]byte); ok && t.IsBinary() {
		return appendJSONString(b, base64.StdEncoding.EncodeToString(value))
	}
	text := appendValue(nil, compute.ValueAt(arr, i), t, env)
	if t.IsNumeric() || t.Kind == datatype.Boolean {
		return appendJSONPlain(b, text)
	}
	return appendJSONString(b, text)
}
