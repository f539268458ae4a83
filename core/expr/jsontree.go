package expr

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// jsonObject keeps the members of an object in the order of the document. Of
// equal names the last one counts.
type jsonObject struct {
	keys   []string
	values []any
}

func (o *jsonObject) get(key string) (any, bool) {
	for i := len(o.keys) - 1; i >= 0; i-- {
		if o.keys[i] == key {
			return o.values[i], true
		}
	}
	return nil, false
}

// parseJSON reads one document: nil, bool, json.Number, string, []any or
// *jsonObject. Valid bounds the depth, so that the recursion is bounded as well.
func parseJSON(s []byte) (any, bool) {
	if !json.Valid(s) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(s))
	d.UseNumber()
	v, err := readJSON(d)
	return v, err == nil
}

func readJSON(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readJSON(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		o := &jsonObject{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readJSON(d)
			if err != nil {
				return nil, err
			}
			o.keys, o.values = append(o.keys, key.(string)), append(o.values, v)
		}
		_, err := d.Token()
		return o, err
	default:
		return token, nil
	}
}

// appendJSON writes a tree without blanks.
func appendJSON(b []byte, v any) []byte {
	switch x := v.(type) {
	case bool:
		return appendJSONBool(b, x)
	case json.Number:
		return append(b, x...)
	case string:
		return appendJSONString(b, x)
	case []any:
		b = append(b, '[')
		for i, e := range x {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case *jsonObject:
		b = append(b, '{')
		for i, e := range x.values {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, x.keys[i]), ':')
			b = appendJSON(b, e)
		}
		return append(b, '}')
	default:
		return append(b, "null"...)
	}
}

func appendJSONBool(b []byte, x bool) []byte {
	if x {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// appendJSONString quotes text: only what JSON cannot hold is escaped.
func appendJSONString[T string | []byte](b []byte, s T) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ' || c >= utf8.RuneSelf:
			b = append(b, c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, digits[c>>4], digits[c&15])
		}
	}
	return append(b, '"')
}
