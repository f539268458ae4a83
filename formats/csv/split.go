package csv

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/formats/internal/cells"
)

// splitter finds records and their fields in a piece of text. The fields of
// wanted columns are kept column by column.
type splitter struct {
	dialect
	width   int            // fields of a record; 0 until the first one is known
	slots   []int          // per field: the wanted column that it belongs to, or -1
	columns [][]cells.Cell // per wanted column: its cells
	starts  []uint32       // where each kept record begins
	bad     int64          // records left out
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

func (s *splitter) reset() {
	for i := range s.columns {
		s.columns[i] = s.columns[i][:0]
	}
	s.starts = s.starts[:0]
}

// records splits up to most records from the front of text and returns how many
// bytes they, and what is passed over, take. final tells that the file ends
// with text, so that a last record needs no line break.
func (s *splitter) records(text []byte, most int, final bool) (used int, err error) {
	for used < len(text) && len(s.starts) < most {
		end, err := s.record(text, used, final)
		if errors.Is(err, errPartial) {
			return used, nil
		}
		if err != nil {
			if !s.lenient || end <= used {
				return used, &recordError{used, err}
			}
			s.bad++
			used = end
			continue
		}
		if len(s.fields) > 0 {
			if err := s.keep(used); err != nil {
				if !s.lenient {
					return used, &recordError{used, err}
				}
				s.bad++
			}
		}
		used = end
	}
	return used, nil
}

// keep appends the record's wanted fields to their columns.
func (s *splitter) keep(start int) error {
	if len(s.fields) != s.width {
		return fmt.Errorf("%d fields instead of %d", len(s.fields), s.width)
	}
	for i, slot := range s.slots {
		if slot >= 0 {
			s.columns[slot] = append(s.columns[slot], s.fields[i])
		}
	}
	s.starts = append(s.starts, uint32(start))
	return nil
}

// record splits the record at text[at:] into s.fields and returns where the
// next one begins. Comments and empty lines leave no fields.
func (s *splitter) record(text []byte, at int, final bool) (next int, err error) {
	s.fields = s.fields[:0]
	if s.comments && text[at] == '#' || s.width != 1 && (text[at] == '\n' || text[at] == '\r' && at+1 < len(text) && text[at+1] == '\n') {
		return lineEnd(text, at, final)
	}
	for {
		if at < len(text) && text[at] == s.quote && s.quoting {
			at, err = s.quoted(text, at, final)
			if err != nil {
				return at, err
			}
		} else {
			at = s.unquoted(text, at)
		}
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

// unquoted takes a field up to a delimiter, a line break or the text's end, and
// returns where that is.
func (s *splitter) unquoted(text []byte, at int) int {
	start := at
	delimiter := s.delimiter
	for at < len(text) && text[at] != delimiter && text[at] != '\n' {
		at++
	}
	end := at
	if at < len(text) && text[at] == '\n' || at == len(text) {
		if end > start && text[end-1] == '\r' {
			end--
		}
	}
	s.fields = append(s.fields, cells.Cell{Start: uint32(start), End: uint32(end), Kind: s.kindOf(text[start:end])})
	return at
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
// end behind it is.
func (s *splitter) quoted(text []byte, at int, final bool) (int, error) {
	start, kind := at+1, cells.Quoted
	for at = start; ; at += 2 {
		i := bytes.IndexByte(text[at:], s.quote)
		if i < 0 {
			if final {
				return len(text), errors.New("quoted field is not closed")
			}
			return len(text), errPartial
		}
		at += i
		if at+1 == len(text) && !final {
			return at, errPartial
		}
		if at+1 == len(text) || text[at+1] != s.quote {
			break
		}
		kind = cells.Escaped
	}
	s.fields = append(s.fields, cells.Cell{Start: uint32(start), End: uint32(at), Kind: kind})
	at++
	if at < len(text) && text[at] == '\r' {
		if at+1 == len(text) && !final {
			return at, errPartial
		}
		if at+1 == len(text) || text[at+1] == '\n' {
			at++
		}
	}
	if at < len(text) && text[at] != s.delimiter && text[at] != '\n' {
		next, err := lineEnd(text, at, final)
		if err != nil {
			return at, err
		}
		return next, fmt.Errorf("unexpected %q after a closing quote", text[at])
	}
	return at, nil
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
