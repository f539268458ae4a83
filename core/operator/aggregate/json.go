package aggregate

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// jsonAgg is JSON_ARRAYAGG and JSON_OBJECTAGG. Each row comes as an array of one
// element or an object of one pair, or as an empty one where a null is left out;
// an accumulator is what is between their brackets, one after the other with its
// length in front.
type jsonAgg struct {
	parts
	object bool
	typ    datatype.Type
}

func (j *jsonAgg) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	c, texts := acc[0], compute.NewTexts(args[0])
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		text := texts.At(r)
		if len(text) <= 2 {
			continue
		}
		text = text[1 : len(text)-1]
		before := len(c.Bytes[s])
		c.Bytes[s], c.Valid[s] = append(binary.AppendUvarint(c.Bytes[s], uint64(len(text))), text...), true
		j.kept += int64(len(c.Bytes[s]) - before)
	}
	return nil
}

func (j *jsonAgg) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	j.mergeParts(acc[0], in[0], sel, slots, nil)
	return nil
}

func (j *jsonAgg) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(j.typ, to-from)
	for i := range out.Valid {
		text, err := j.text(acc[0].Bytes[from+i])
		if err != nil {
			return nil, err
		}
		out.Bytes[i], out.Valid[i] = text, true
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}

func (j *jsonAgg) text(b []byte) ([]byte, error) {
	out := append(make([]byte, 0, len(b)+2), "[]"[0])
	if j.object {
		out[0] = '{'
	}
	keys := map[string]bool{}
	for len(b) > 0 {
		n, skip := binary.Uvarint(b)
		part := b[skip : skip+int(n)]
		b = b[skip+int(n):]
		if j.object {
			key := string(part[:jsonKeyEnd(part)])
			if keys[key] {
				return nil, failure.Wrap(failure.UserCode, fmt.Errorf("the key %s comes twice", key))
			}
			keys[key] = true
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, part...)
	}
	if j.object {
		return append(out, '}'), nil
	}
	return append(out, ']'), nil
}

// jsonKeyEnd is where the text at the front of a pair ends.
func jsonKeyEnd(pair []byte) int {
	for i := 1; i < len(pair); i++ {
		switch pair[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(pair)
}
