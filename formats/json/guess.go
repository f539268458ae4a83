package json

import (
	"bytes"
	"context"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// sampleBytes bounds what types are inferred from, maxColumns how many keys.
const (
	sampleBytes = 8 << 20
	maxColumns  = 10_000
)

// guess narrows down the type of a value that occurs in many lines.
type guess struct {
	scalar  cells.Guess
	scalars bool // numbers and literals
	strings bool
	fields  []field // of objects
	byName  map[string]int
	objects bool
	element *guess // of arrays
}

type field struct {
	name string
	*guess
}

// inferSchema looks at the first lines of a file.
func inferSchema(ctx context.Context, in formats.Input) (datatype.Schema, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var root *guess
	err := cells.Head(in, memory.DefaultAllocator, sampleBytes, func(text []byte, final bool) (more bool, err error) {
		root = &guess{}
		rows, err := root.addLines(in.Path, text, final)
		return rows == 0, err
	})
	if err != nil {
		return nil, err
	}
	return root.row(), nil
}

// addLines looks at the lines of a sample and says how many objects were there.
func (g *guess) addLines(path string, text []byte, final bool) (rows int, err error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	for line := 1; len(text) > 0 && rows < cells.SampleRows; line++ {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			if !final {
				break
			}
			end = len(text) - 1
		}
		s := scanner{text: text[:end+1]}
		if s.peek() != 0 {
			if s.peek() != '{' {
				return rows, failure.Errorf(failure.BadData, "%s:%d: %w", path, line, s.unexpected("an object"))
			}
			if err := g.add(&s, 0); err != nil {
				return rows, failure.Errorf(failure.BadData, "%s:%d: %w", path, line, err)
			}
			rows++
		}
		text = text[end+1:]
	}
	return rows, nil
}

// add looks at the value that the scanner stands before, and steps over it.
func (g *guess) add(s *scanner, depth int) error {
	switch s.peek() {
	case '{':
		g.objects = true
		return s.members(func(key cells.Cell) error {
			name := s.text[key.Start:key.End]
			if key.Kind == cells.Escaped {
				name, _ = unescape(nil, name)
			}
			child := g.field(string(name))
			if child == nil || depth >= maxDepth {
				_, err := s.value(depth)
				return err
			}
			return child.add(s, depth+1)
		})
	case '[':
		if g.element == nil {
			g.element = &guess{}
		}
		if depth >= maxDepth {
			_, err := s.value(depth)
			return err
		}
		return s.elements(func() error { return g.element.add(s, depth+1) })
	}
	v, err := s.value(depth)
	if err != nil || v.Kind == cells.Null {
		return err
	}
	word := s.text[v.Start:v.End]
	if v.Kind == cells.Plain {
		g.scalars = true
	} else {
		g.strings = true
	}
	g.scalar.Add(word)
	return nil
}

func (g *guess) field(name string) *guess {
	if i, ok := g.byName[name]; ok {
		return g.fields[i].guess
	}
	if len(g.fields) >= maxColumns {
		return nil
	}
	if g.byName == nil {
		g.byName = map[string]int{}
	}
	g.byName[name] = len(g.fields)
	g.fields = append(g.fields, field{name, &guess{}})
	return g.fields[len(g.fields)-1].guess
}

func (g *guess) row() datatype.Schema {
	s := make(datatype.Schema, len(g.fields))
	for i, f := range g.fields {
		s[i] = datatype.Field{Name: f.name, Type: f.typ()}
	}
	return s
}

// typ is the type that all values had; what does not agree is text.
func (g *guess) typ() datatype.Type {
	scalar := g.scalars || g.strings
	switch {
	case g.objects && g.element == nil && !scalar && len(g.fields) > 0:
		return datatype.RowOf(g.row()...)
	case g.element != nil && !g.objects && !scalar:
		return datatype.ArrayOf(g.element.typ())
	case g.objects || g.element != nil || g.scalars && g.strings:
		return datatype.Of(datatype.Varchar)
	}
	t := g.scalar.Type()
	if g.strings && !t.IsTemporal() { // "12" is text to who wrote it
		return datatype.Of(datatype.Varchar)
	}
	return t
}
