package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

const (
	// sampleBytes bounds what types are inferred from, headBytes what names are.
	sampleBytes = 8 << 20
	headBytes   = 64 << 10
	headRows    = 200
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// layout is what a file's beginning tells.
type layout struct {
	names []string        // of the fields, in order
	types []datatype.Type // guessed from the sample
	start int64           // where the first row begins
}

// sample is the first records of a file.
type sample struct {
	first   []string
	after   int // where the record after the first begins
	guesses []cells.Guess
}

// readLayout looks at a file's beginning. With declared columns it only finds
// out whether there is a header; else it also guesses types, from up to rows
// rows in up to size bytes.
func readLayout(ctx context.Context, in formats.Input, alloc memory.Allocator, d dialect, declared datatype.Schema, rows int, size int64) (*layout, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var l *layout
	err := cells.Head(in, alloc, size, func(text []byte, final bool) (more bool, err error) {
		skip := 0
		if bytes.HasPrefix(text, byteOrderMark) {
			skip = len(byteOrderMark)
		}
		s, err := takeSample(text[skip:], d, rows, final)
		if errors.Is(err, errPartial) {
			return true, nil
		}
		if err != nil {
			return false, failure.Errorf(failure.BadData, "%s:1: %w", in.Path, err)
		}
		l = s.layout(d, declared)
		l.start += int64(skip)
		return false, nil
	})
	return l, err
}

// takeSample splits records and guesses the types of all but the first.
func takeSample(text []byte, d dialect, rows int, final bool) (*sample, error) {
	s := &sample{}
	split := splitter{dialect: d}
	var scratch []byte
	for at := 0; at < len(text) && rows > 0; {
		next, err := split.record(text, at, final)
		if err != nil {
			if s.first == nil {
				return nil, err
			}
			break // what is wrong further on is found by reading
		}
		at = next
		if len(split.fields) == 0 {
			continue
		}
		if s.first == nil {
			for _, f := range split.fields {
				t, _ := cellText(d, text, f, nil)
				s.first = append(s.first, string(t[:min(len(t), headBytes)]))
			}
			s.after, s.guesses = next, make([]cells.Guess, len(s.first))
			split.width = len(s.first)
			continue
		}
		rows--
		for i, f := range split.fields[:min(len(split.fields), len(s.guesses))] {
			if f.Kind == cells.Null || f.Kind == cells.Plain && f.Start == f.End {
				continue
			}
			t, _ := cellText(d, text, f, scratch[:0])
			s.guesses[i].Add(t)
		}
	}
	return s, nil
}

func cellText(d dialect, text []byte, c cells.Cell, scratch []byte) ([]byte, error) {
	if c.Kind != cells.Escaped {
		return text[c.Start:c.End], nil
	}
	return d.unescape(scratch, text[c.Start:c.End])
}

// layout decides whether the first record is a header and names the columns.
func (s *sample) layout(d dialect, declared datatype.Schema) *layout {
	l := &layout{}
	header := d.header == headerPresent || d.header == headerAuto && s.headerLike(declared)
	if header {
		l.start = int64(s.after)
	} else { // then the first record is a row like all others
		for i, t := range s.first {
			if t != "" {
				s.guesses[i].Add([]byte(t))
			}
		}
	}
	for i := range s.guesses {
		l.types = append(l.types, s.guesses[i].Type())
	}
	switch {
	case header:
		l.names = uniqueNames(s.first)
	case declared != nil:
		l.names = declared.Names()
	default:
		for i := range s.first {
			l.names = append(l.names, fmt.Sprintf("column%d", i))
		}
	}
	return l
}

// headerLike judges the first record.
func (s *sample) headerLike(declared datatype.Schema) bool {
	if s.first == nil {
		return false
	}
	if declared != nil { // anything less would silently lose a row
		return !slices.ContainsFunc(uniqueNames(s.first), func(name string) bool { return declared.Index(name) < 0 })
	}
	typed := false
	for i, t := range s.first {
		fits, known := s.guesses[i].Fits([]byte(t))
		if !fits && t != "" {
			return true
		}
		typed = typed || known
	}
	return !typed && looksLikeNames(s.first)
}

// looksLikeNames tells distinct words from text.
func looksLikeNames(first []string) bool {
	seen := map[string]bool{}
	for _, name := range first {
		if name == "" || seen[name] || name[0]-'0' <= 9 {
			return false
		}
		seen[name] = true
		for _, r := range name {
			if r < 0x80 && r != '_' && r != ' ' && r != '.' && r != '-' && r != '#' && !('0' <= r && r <= '9' || 'a' <= r|32 && r|32 <= 'z') {
				return false
			}
		}
	}
	return true
}

// uniqueNames makes column names of a header: empty and repeated ones get a number.
func uniqueNames(header []string) []string {
	names, seen := make([]string, len(header)), map[string]bool{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if name == "" {
			name = fmt.Sprintf("column%d", i)
		}
		base := name
		for n := 1; seen[name]; n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		seen[name] = true
		names[i] = name
	}
	return names
}
