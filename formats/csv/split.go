package csv

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/formats/internal/cells"
)

// splitter finds records and their fields in a piece of text: one record at a
// time, or many with the fields of wanted columns column by column.
type splitter struct {
	dialect
	width   int            // fields of a record; 0 until the first one is known
	slots   []int          // per field: the wanted column that it belongs to, or -1
	columns [][]cells.Cell // per wanted column: its cells
	byField [][]cells.Cell // per field: its column, with room, or nil
	starts  []uint32       // where each kept record begins
	ends    []uint32       // and where the next one does
	bad     int64          // records left out
	rejects *cells.Rejects // that take malformed records; nil: nobody does
	fields  []cells.Cell   // the record being split
}

// errPartial says that the text ends in the middle of a record.
var errPartial = errors.New("record is not complete")

// recordError is a malformed record that begins at start.
type recordError struct {
	start int
	err   error
}

func (e *recordError) Error() string { return e.err.Error() }

// begin makes room for as many records as text can hold, at most most.
func (s *splitter) begin(text []byte, most int) {
	rows := min(most, len(text))
	for i := range s.columns {
		s.columns[i] = slices.Grow(s.columns[i][:0], rows)[:rows]
	}
	s.byField = s.byField[:0]
	for _, slot := range s.slots {
		var column []cells.Cell
		if slot >= 0 {
			column = s.columns[slot]
		}
		s.byField = append(s.byField, column)
	}
	s.starts, s.ends = s.starts[:0], s.ends[:0]
}

// records splits up to most records from the front of text and returns how many
// bytes they, and what is passed over, take. final tells that the file ends
// with text, so that a last record needs no line break.
func (s *splitter) records(text []byte, most int, final bool) (used int, err error) {
	s.begin(text, most)
	defer func() {
		for i := range s.columns {
			s.columns[i] = s.columns[i][:len(s.starts)]
		}
	}()
	m := newMarks(text, s.delimiter)
	for used < len(text) && len(s.starts)+s.rejects.Len() < most {
		end, fields, err := s.next(&m, used, final)
		if errors.Is(err, errPartial) {
			return used, nil
		}
		if err == nil && fields > 0 && fields != s.width {
			err = fmt.Errorf("%d fields instead of %d", fields, s.width)
		}
		switch {
		case err == nil && fields > 0:
			s.starts, s.ends = append(s.starts, uint32(used)), append(s.ends, uint32(end))
		case err != nil && s.rejects != nil && end > used:
			s.rejects.Add(used, end, err)
		case err != nil && (!s.lenient || end <= used):
			return used, &recordError{used, err}
		case err != nil:
			s.bad++
		}
		used = end
	}
	return used, nil
}

// next puts the wanted fields of the record that begins at at into their columns
// and returns where the next one begins and how many fields there were: none in
// comments and empty lines.
func (s *splitter) next(m *marks, at int, final bool) (end, fields int, err error) {
	text, row := m.text, len(s.starts)
	if s.passedOver(text, at) {
		end, err = lineEnd(text, at, final)
		m.seek(end)
		return end, 0, err
	}
	for ; ; fields++ {
		var cell cells.Cell
		start := at
		if s.quoting && at < len(text) && text[at] == s.quote {
			if cell, at, err = s.quoted(text, at, final); err != nil {
				m.seek(at)
				return at, fields, err
			}
			m.seek(at)
		}
		at = m.next()
		ends := at == len(text) || text[at] == '\n'
		if cell.Kind == cells.Null {
			cell = s.unquoted(text, start, at, ends)
		}
		if fields < len(s.byField) {
			if column := s.byField[fields]; row < len(column) {
				column[row] = cell
			}
		}
		if !ends {
			at++
			continue
		}
		switch {
		case at < len(text):
			return at + 1, fields + 1, nil
		case final:
			return at, fields + 1, nil
		}
		return at, fields, errPartial
	}
}

// passedOver reports whether the line at text[at:] is a comment or empty.
func (s *splitter) passedOver(text []byte, at int) bool {
	c := text[at]
	if s.comments && c == '#' {
		return true
	}
	return s.width != 1 && (c == '\n' || c == '\r' && at+1 < len(text) && text[at+1] == '\n')
}

// record splits the record at text[at:] into s.fields and returns where the
// next one begins. Comments and empty lines leave no fields.
func (s *splitter) record(text []byte, at int, final bool) (next int, err error) {
	s.fields = s.fields[:0]
	if s.passedOver(text, at) {
		return lineEnd(text, at, final)
	}
	for {
		var cell cells.Cell
		if at < len(text) && text[at] == s.quote && s.quoting {
			cell, at, err = s.quoted(text, at, final)
			if err != nil {
				return at, err
			}
		} else {
			start := at
			for at < len(text) && text[at] != s.delimiter && text[at] != '\n' {
				at++
			}
			cell = s.unquoted(text, start, at, at == len(text) || text[at] == '\n')
		}
		s.fields = append(s.fields, cell)
		if at == len(text) {
			if !final {
				return at, errPartial
			}
			return at, nil
		}
		if text[at] == '\n' {
			return at + 1, nil
		}
		at++ // the delimiter
	}
}

func lineEnd(text []byte, at int, final bool) (int, error) {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1, nil
	}
	if final {
		return len(text), nil
	}
	return at, errPartial
}

// unquoted is the field between start and a delimiter or, if that ends the record,
// a line break or the text's end.
func (s *splitter) unquoted(text []byte, start, end int, ends bool) cells.Cell {
	if ends && end > start && text[end-1] == '\r' {
		end--
	}
	kind := cells.Plain
	if s.hasNull || start == end {
		kind = s.kindOf(text[start:end])
	}
	return cells.Cell{Start: uint32(start), End: uint32(end), Kind: kind}
}

// kindOf tells nulls from text. Empty fields are left Plain where a null literal
// is set; the column's type decides what they are.
func (s *splitter) kindOf(field []byte) cells.Kind {
	if s.hasNull {
		if string(field) == s.nullLiteral {
			return cells.Null
		}
	} else if len(field) == 0 {
		return cells.Null
	}
	return cells.Plain
}

// quoted takes a field in quotes and returns where the delimiter, line break or
// end behind it is; with an error, where the next record begins.
func (s *splitter) quoted(text []byte, at int, final bool) (cell cells.Cell, next int, err error) {
	start, kind := at+1, cells.Quoted
	for at = start; ; at += 2 {
		i := bytes.IndexByte(text[at:], s.quote)
		if i < 0 {
			if final {
				return cell, len(text), errors.New("quoted field is not closed")
			}
			return cell, len(text), errPartial
		}
		at += i
		if at+1 == len(text) && !final {
			return cell, at, errPartial
		}
		if at+1 == len(text) || text[at+1] != s.quote {
			break
		}
		kind = cells.Escaped
	}
	cell = cells.Cell{Start: uint32(start), End: uint32(at), Kind: kind}
	at++
	if at < len(text) && text[at] == '\r' {
		if at+1 == len(text) && !final {
			return cell, at, errPartial
		}
		if at+1 == len(text) || text[at+1] == '\n' {
			at++
		}
	}
	if at < len(text) && text[at] != s.delimiter && text[at] != '\n' {
		next, err := lineEnd(text, at, final)
		if err != nil {
			return cell, at, err
		}
		return cell, next, fmt.Errorf("unexpected %q after a closing quote", text[at])
	}
	return cell, at, nil
}

// unescape undoubles quotes.
func (d dialect) unescape(dst, text []byte) ([]byte, error) {
	for {
		i := bytes.IndexByte(text, d.quote)
		if i < 0 {
			return append(dst, text...), nil
		}
		dst = append(dst, text[:i+1]...)
		text = text[min(i+2, len(text)):]
	}
}
