package json

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// column turns the cells of one column, or of one inner type, into an array.
type column struct {
	path      string // for errors: order.items.price
	typ       datatype.Type
	alloc     memory.Allocator
	lenient   bool
	converter *cells.Converter // types without inner types
	children  []*column        // element; key and value; fields
	cells     []cells.Cell     // of inner columns: gathered from the outer ones
	bad       int64
	reject    func(*cellError) // takes what does not fit, which is null then; nil: it is an error
	parsed    []cells.Cell     // by the converter, now
}

func newColumn(path string, t datatype.Type, alloc memory.Allocator, lenient bool) (*column, error) {
	c := &column{path: path, typ: t, alloc: alloc, lenient: lenient}
	inner := func(name string, t datatype.Type) error {
		child, err := newColumn(path+"."+name, t, alloc, lenient)
		c.children = append(c.children, child)
		return err
	}
	switch t.Kind {
	case datatype.Array:
		return c, inner("element", *t.Elem)
	case datatype.Map:
		if !t.Key.IsString() {
			return nil, fmt.Errorf("column %s: %s in JSON is not supported: keys are strings", path, t)
		}
		if err := inner("key", t.Key.NotNull()); err != nil {
			return nil, err
		}
		return c, inner("value", *t.Elem)
	case datatype.Row:
		for _, f := range t.Fields {
			// A field that may not be NULL still has no value where its ROW is NULL.
			if err := inner(f.Name, f.Type.WithNull(true)); err != nil {
				return nil, err
			}
		}
		return c, nil
	}
	if !cells.Supported(t) {
		return nil, fmt.Errorf("column %s: %s in JSON is not supported yet", path, t)
	}
	c.converter = &cells.Converter{Type: t, Alloc: alloc, Unescape: unescape, Lenient: lenient}
	return c, nil
}

// rejectBy has reject take what does not fit.
func (c *column) rejectBy(reject func(*cellError)) {
	c.reject = reject
	if c.converter != nil {
		c.converter.Reject = func(e *cells.Error) { reject(&cellError{c.path, c.parsed[e.Row].Start, e}) }
	}
	for _, child := range c.children {
		child.rejectBy(reject)
	}
}

// cellError is a value that does not fit, in a column at any depth.
type cellError struct {
	path string
	at   uint32 // where the value stands in the text
	err  error
}

func (e *cellError) Error() string { return fmt.Sprintf("column %s: %v", e.path, e.err) }

// array parses the cells.
func (c *column) array(text []byte, in []cells.Cell) (arrow.Array, error) {
	if c.converter != nil {
		bad := c.converter.Bad
		c.parsed = in
		a, err := c.converter.Array(text, in)
		c.bad += c.converter.Bad - bad
		if e, ok := errors.AsType[*cells.Error](err); ok {
			return nil, &cellError{c.path, in[e.Row].Start, e}
		}
		return a, err
	}
	for _, child := range c.children {
		child.cells = child.cells[:0]
	}
	validity := memory.NewResizableBuffer(c.alloc)
	defer validity.Release()
	validity.Resize(int(bitutil.BytesForBits(int64(len(in)))))
	offsets := memory.NewResizableBuffer(c.alloc)
	defer offsets.Release()
	offsets.Resize(4 * (len(in) + 1))
	ends := arrow.Int32Traits.CastFromBytes(offsets.Bytes())
	ends[0] = 0
	nulls := 0
	for i, cell := range in {
		valid, err := c.split(text, cell)
		if err != nil {
			return nil, err
		}
		bitutil.SetBitTo(validity.Bytes(), i, valid)
		if !valid {
			nulls++
		}
		ends[i+1] = int32(len(c.children[max(len(c.children)-1, 0)].cells))
	}
	return c.assemble(text, len(in), nulls, validity, offsets)
}

// split hands a cell's parts to the children; false is null.
func (c *column) split(text []byte, cell cells.Cell) (valid bool, err error) {
	if cell.Kind != cells.Null {
		marks := c.marks()
		if err = c.parts(text, cell); err == nil {
			return true, nil
		}
		c.rewind(marks)
		if c.reject != nil || !c.lenient || !c.typ.Nullable {
			err := &cellError{c.path, cell.Start, fmt.Errorf("value %.60q is not a %s: %w", text[cell.Start:cell.End], c.typ.Kind, err)}
			if c.reject == nil {
				return false, err
			}
			c.reject(err)
		} else {
			c.bad++
		}
	} else if !c.typ.Nullable {
		err := &cellError{c.path, cell.Start, fmt.Errorf("no value for %s", c.typ)}
		if c.reject == nil {
			return false, err
		}
		c.reject(err)
	}
	if c.typ.Kind == datatype.Row {
		for _, child := range c.children { // below a null, whatever a child can hold
			child.cells = append(child.cells, cells.Cell{})
		}
	}
	return false, nil
}

func (c *column) marks() []int {
	marks := make([]int, len(c.children))
	for i, child := range c.children {
		marks[i] = len(child.cells)
	}
	return marks
}

func (c *column) rewind(marks []int) {
	for i, child := range c.children {
		child.cells = child.cells[:marks[i]]
	}
}

// parts appends the inner cells of a value that is not null.
func (c *column) parts(text []byte, cell cells.Cell) error {
	s := scanner{text: text[:cell.End], at: int(cell.Start)}
	switch c.typ.Kind {
	case datatype.Array:
		return s.elements(func() error {
			v, err := s.value(0)
			c.children[0].cells = append(c.children[0].cells, position(v, s.at))
			return err
		})
	case datatype.Map:
		return s.members(func(key cells.Cell) error {
			v, err := s.value(0)
			c.children[0].cells = append(c.children[0].cells, key)
			c.children[1].cells = append(c.children[1].cells, position(v, s.at))
			return err
		})
	}
	row := len(c.children[0].cells)
	for _, child := range c.children {
		child.cells = append(child.cells, cells.Cell{Start: cell.Start, End: cell.Start})
	}
	err := s.members(func(key cells.Cell) error {
		v, err := s.value(0)
		if i := c.field(text, key); i >= 0 {
			c.children[i].cells[row] = position(v, s.at)
		}
		return err
	})
	for i, f := range c.typ.Fields {
		if err == nil && !f.Type.Nullable && c.children[i].cells[row].Kind == cells.Null {
			err = fmt.Errorf("no value for field %s", f.Name)
		}
	}
	return err
}

// position gives a null its place in the text, for errors.
func position(v cells.Cell, at int) cells.Cell {
	if v.Kind == cells.Null {
		v.Start, v.End = uint32(at), uint32(at)
	}
	return v
}

// field finds a ROW's field by the key.
func (c *column) field(text []byte, key cells.Cell) int {
	name := text[key.Start:key.End]
	if key.Kind == cells.Escaped {
		name, _ = unescape(nil, name)
	}
	for i := range c.typ.Fields {
		if c.typ.Fields[i].Name == string(name) {
			return i
		}
	}
	return -1
}

// assemble builds the children's arrays and puts them together.
func (c *column) assemble(text []byte, n, nulls int, validity, offsets *memory.Buffer) (arrow.Array, error) {
	var inner []arrow.ArrayData
	defer func() {
		for _, d := range inner {
			d.Release()
		}
	}()
	for _, child := range c.children {
		a, err := child.array(text, child.cells)
		if err != nil {
			return nil, err
		}
		inner = append(inner, a.Data())
		a.Data().Retain()
		a.Release()
	}
	if nulls == 0 {
		validity = nil
	}
	t := c.typ.Arrow()
	buffers := []*memory.Buffer{validity, offsets}
	children := inner
	switch c.typ.Kind {
	case datatype.Row:
		buffers = buffers[:1]
	case datatype.Map:
		entries := array.NewData(t.(*arrow.MapType).Elem(), inner[0].Len(), []*memory.Buffer{nil}, inner, 0, 0)
		defer entries.Release()
		children = []arrow.ArrayData{entries}
	}
	d := array.NewData(t, n, buffers, children, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d), nil
}

// badCount is how many values were made null because they did not fit.
func (c *column) badCount() int64 {
	n := c.bad
	for _, child := range c.children {
		n += child.badCount()
	}
	return n
}
