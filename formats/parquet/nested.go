package parquet

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// nestedDecoder makes the arrays of a column of lists, maps or rows. For each
// batch every leaf's levels are read first; they tell the offsets and nulls of
// the nodes above it and how many values the leaf has (see node).
type nestedDecoder struct {
	alloc  memory.Allocator
	root   *plan
	leaves []*nestedLeaf
	behind int // rows passed over that are still to be read
}

// plan is a node as it is wanted. Its first leaf's levels stand for it.
type plan struct {
	node     *node
	want     datatype.Type
	children []*plan // in the wanted order; nil for a row's field that the file lacks
	first    *nestedLeaf
}

// nestedLeaf reads a leaf's levels and values.
type nestedLeaf struct {
	decoder
	levels levelReader
	now    levelEntries // of the current batch
}

func (l *nestedLeaf) start(group int, c *chunk, data []byte) {
	l.levels.start(group, c, data)
	l.decoder.start(group, c, data)
}

func (l *nestedLeaf) close() {
	l.levels.close()
	l.decoder.close()
}

func (r *reader) nestedDecoder(root *node, want datatype.Type) (*nestedDecoder, error) {
	d := &nestedDecoder{alloc: r.opts.Alloc}
	var err error
	if d.root, err = d.plan(r, root, want); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// plan matches a node with the wanted type.
func (d *nestedDecoder) plan(r *reader, n *node, want datatype.Type) (*plan, error) {
	p := &plan{node: n, want: want}
	if n.leaf == nil && n.typ.Kind != want.Kind {
		return nil, fmt.Errorf("it is %s in the file, which cannot be read as %s", n.typ, want)
	}
	wanted := []datatype.Type{}
	switch {
	case n.leaf != nil:
		return p, d.planLeaf(r, p)
	case n.typ.Kind == datatype.Row:
		return p, d.planRow(r, p)
	case n.typ.Kind == datatype.Map:
		wanted = append(wanted, *want.Key, *want.Elem)
	default:
		wanted = append(wanted, *want.Elem)
	}
	for i, w := range wanted {
		c, err := d.plan(r, n.children[i], w)
		if err != nil {
			return nil, err
		}
		p.children = append(p.children, c)
	}
	p.first = p.children[0].first
	return p, nil
}

// planRow finds the wanted fields by name.
func (d *nestedDecoder) planRow(r *reader, p *plan) error {
	for _, f := range p.want.Fields {
		var child *plan
		for _, c := range p.node.children {
			if c.name != f.Name {
				continue
			}
			var err error
			if child, err = d.plan(r, c, f.Type); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
			if p.first == nil {
				p.first = child.first
			}
		}
		if child == nil && (!r.opts.AllowMissing || !f.Type.Nullable) {
			return fmt.Errorf("the file does not have field %s; it is %s", f.Name, p.node.typ)
		}
		p.children = append(p.children, child)
	}
	if p.first == nil {
		return fmt.Errorf("the file has none of the fields of %s; it is %s", p.want, p.node.typ)
	}
	return nil
}

func (d *nestedDecoder) planLeaf(r *reader, p *plan) error {
	values := newPages(p.node.leaf, r.file.in.Path, d.alloc, r.codec)
	values.nested, values.slotDef = true, p.node.slotDef
	// Where the row around a value is null its slot is, too; whether the value itself
	// may be is checked against the levels.
	decoder, err := newDecoder(values, p.want.WithNull(true), d.alloc)
	if err != nil {
		values.close()
		return err
	}
	if b, ok := decoder.(*bytesDecoder); ok {
		b.keep = false // lists of dictionaries are no layout of the engine's
	}
	p.first = &nestedLeaf{decoder: decoder, levels: levelReader{pages: newPages(p.node.leaf, r.file.in.Path, d.alloc, r.codec)}}
	d.leaves = append(d.leaves, p.first)
	return nil
}

// start begins a row group; its leaves are started one by one.
func (d *nestedDecoder) start(int, *chunk, []byte) { d.behind = 0 }

func (d *nestedDecoder) source() *leaf { return nil }

func (d *nestedDecoder) close() {
	for _, l := range d.leaves {
		l.close()
	}
}

func (d *nestedDecoder) skip(n int) { d.behind += n }

// maxDrop is how many rows are read at once only to be dropped.
const maxDrop = 8192

func (d *nestedDecoder) read(n int) (arrow.Array, error) {
	for d.behind > 0 {
		k := min(d.behind, maxDrop)
		a, err := d.rows(k)
		if err != nil {
			return nil, err
		}
		a.Release()
		d.behind -= k
	}
	return d.rows(n)
}

func (d *nestedDecoder) take(n int, rows []int32) (arrow.Array, error) {
	return takeOf(d, d.alloc, n, rows)
}

// rows makes the array of the next n rows.
func (d *nestedDecoder) rows(n int) (arrow.Array, error) {
	for _, l := range d.leaves {
		var err error
		if l.now, err = l.levels.rows(n); err != nil {
			return nil, l.levels.fail(err)
		}
	}
	return d.build(d.root, n)
}

// build makes the array of a node that has n slots.
func (d *nestedDecoder) build(p *plan, n int) (arrow.Array, error) {
	slots, err := d.slots(p, n)
	if err != nil {
		return nil, p.first.levels.fail(err)
	}
	defer release(slots.valid, slots.offsets)
	switch p.node.typ.Kind {
	case datatype.Row:
		return d.row(p, slots)
	case datatype.Array, datatype.Map:
		return d.list(p, slots)
	default:
		return p.first.read(n)
	}
}

// slots are what a leaf's levels say of a node: which of its slots are not null
// and, for lists and maps, where their elements begin.
type slots struct {
	n, nulls, elements int
	valid, offsets     *memory.Buffer
}

func (d *nestedDecoder) slots(p *plan, n int) (s slots, err error) {
	node, e := p.node, p.first.now
	repeated := node.elemDef > 0
	s.valid = newBuffer(d.alloc, int(bitutil.BytesForBits(int64(n))))
	clear(s.valid.Bytes())
	var offsets []int32
	if repeated {
		s.offsets = newBuffer(d.alloc, 4*(n+1))
		offsets = arrow.Int32Traits.CastFromBytes(s.offsets.Bytes())
	}
	bitmap, refused, missing := s.valid.Bytes(), 0, 0
	for i, def := range e.def {
		rep, def := int(e.rep[i]), int(def)
		if rep <= node.slotRep && def >= node.slotDef {
			if s.n == n {
				missing++
				break
			}
			if repeated {
				offsets[s.n] = int32(s.elements)
			}
			if def >= node.def {
				bitmap[s.n/8] |= 1 << (s.n % 8)
			} else if s.nulls++; def == node.def-1 {
				refused++
			}
			s.n++
		}
		if repeated && rep <= node.slotRep+1 && def >= node.elemDef {
			s.elements++
		}
	}
	switch {
	case s.n != n || missing > 0:
		err = fmt.Errorf("%d values or more where %d are due: the column's leaves disagree", s.n, n)
	case s.elements > math.MaxInt32:
		err = fmt.Errorf("lists of more than %d elements in one batch", math.MaxInt32)
	default:
		err = checkNulls(p.want, p.ownNulls(refused))
	}
	if err != nil {
		release(s.valid, s.offsets)
		return slots{}, err
	}
	if repeated {
		offsets[n] = int32(s.elements)
	}
	return s, nil
}

// ownNulls is how many nulls are the node's own rather than its parent's. The
// levels of a node that the file requires have none.
func (p *plan) ownNulls(nulls int) int {
	if !p.node.optional {
		return 0
	}
	return nulls
}

// list makes a list or map of its elements.
func (d *nestedDecoder) list(p *plan, s slots) (arrow.Array, error) {
	t := p.want.Arrow()
	children := make([]arrow.ArrayData, len(p.children))
	defer releaseData(children)
	for i, c := range p.children {
		a, err := d.build(c, s.elements)
		if err != nil {
			return nil, err
		}
		children[i] = a.Data()
		children[i].Retain()
		a.Release()
	}
	values := children[0]
	if m, ok := t.(*arrow.MapType); ok {
		values = array.NewData(m.Elem(), s.elements, []*memory.Buffer{nil}, children, 0, 0)
		defer values.Release()
	}
	data := array.NewData(t, s.n, []*memory.Buffer{s.bitmap(), s.offsets}, []arrow.ArrayData{values}, s.nulls, 0)
	defer data.Release()
	return array.MakeFromData(data), nil
}

// bitmap is the validity, nil where nothing is null.
func (s *slots) bitmap() *memory.Buffer {
	if s.nulls == 0 {
		return nil
	}
	return s.valid
}

func (d *nestedDecoder) row(p *plan, s slots) (arrow.Array, error) {
	t := p.want.Arrow()
	children := make([]arrow.ArrayData, len(p.children))
	defer releaseData(children)
	for i, c := range p.children {
		var a arrow.Array
		var err error
		if c == nil {
			a = array.MakeArrayOfNull(d.alloc, p.want.Fields[i].Type.Arrow(), s.n)
		} else if a, err = d.build(c, s.n); err != nil {
			return nil, err
		}
		children[i] = a.Data()
		children[i].Retain()
		a.Release()
	}
	data := array.NewData(t, s.n, []*memory.Buffer{s.bitmap()}, children, s.nulls, 0)
	defer data.Release()
	return array.MakeFromData(data), nil
}

func releaseData(all []arrow.ArrayData) {
	for _, d := range all {
		if d != nil {
			d.Release()
		}
	}
}
