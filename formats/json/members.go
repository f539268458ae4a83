package json

import (
	"bytes"

	"github.com/tidemill/tidemill/formats/internal/cells"
)

// maxExpected bounds how many keys are expected, and the bytes of each.
const (
	maxExpected      = maxColumns
	maxExpectedBytes = 256
)

// expectedKey is what stood before the nth value of the last line: lines mostly have
// the same keys in the same order, written in the same way. Its bytes are a brace
// or comma, the key and the colon, from behind the value before to the value.
type expectedKey struct {
	text   []byte
	column int // of the key, -1: not wanted
}

// members puts the values of the object at which the scanner stands into the cells
// of a row.
func (r *reader) members(s *scanner, row int) error {
	for n := 0; ; n++ {
		column, more, err := r.key(s, n)
		if err != nil || !more {
			return err
		}
		v, err := s.quickValue()
		if column >= 0 {
			r.cells[column][row] = position(v, s.at)
		}
		if err != nil {
			return err
		}
	}
}

// key steps to the nth value of an object and says which column it belongs to; more
// is false behind the last one.
func (r *reader) key(s *scanner, n int) (column int, more bool, err error) {
	if n < len(r.keys) {
		if k := &r.keys[n]; bytes.HasPrefix(s.text[s.at:], k.text) && len(k.text) > 0 {
			s.at += len(k.text)
			return k.column, true, nil
		}
	}
	from := s.at
	var key cells.Cell
	if n == 0 {
		key, more, err = s.firstKey()
	} else {
		key, more, err = s.nextKey()
	}
	if err != nil || !more {
		return -1, false, err
	}
	name := s.text[key.Start:key.End]
	if key.Kind == cells.Escaped {
		name, _ = unescape(nil, name)
	}
	column, ok := r.byName[string(name)]
	if !ok {
		column = -1
	}
	r.expect(n, s.text[from:s.at], column)
	return column, true, nil
}

// expect keeps what stood before the nth value.
func (r *reader) expect(n int, text []byte, column int) {
	if n == len(r.keys) && n < maxExpected {
		r.keys = append(r.keys, expectedKey{})
	}
	if n < len(r.keys) {
		if len(text) > maxExpectedBytes {
			text = nil
		}
		r.keys[n] = expectedKey{append(r.keys[n].text[:0], text...), column}
	}
}
