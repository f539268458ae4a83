package expr

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// Program is a compiled expression. It keeps memory between batches and serves
// one goroutine.
type Program struct {
	root node
	t    datatype.Type
	at   arrow.DataType // t's
	run  run
	kept []int32
}

// Type is the type of the results.
func (p *Program) Type() datatype.Type { return p.t }

// Eval computes the expression over b's selected rows. The array, which the
// caller owns, has a value for each physical row of b; those of rows that are
// not selected mean nothing. A bare column is returned as it is, with another
// reference; text may come back dictionary-encoded. b stays the caller's. An
// error that a row raised is of class UserCode.
func (p *Program) Eval(b *stream.Batch) (arrow.Array, error) {
	return p.EvalColumns(b.Record.Columns(), b.PhysicalRows(), b.Sel)
}

// EvalColumns is Eval over columns that are no batch, of which rows rows exist
// and sel (nil: all) are selected.
func (p *Program) EvalColumns(columns []arrow.Array, rows int, sel []int32) (arrow.Array, error) {
	p.run.reset(columns, rows)
	defer p.run.finish()
	v, err := p.root.eval(&p.run, sel)
	if err != nil {
		return nil, err
	}
	return p.run.result(v, p.at, rows)
}

// Select evaluates a boolean expression and returns the selected rows of b for
// which it is true, as b's next selection. It returns b's own selection, which
// may be nil, when that loses no row; else the slice is new. It panics when the
// expression is not boolean.
func (p *Program) Select(b *stream.Batch) ([]int32, error) {
	if p.t.Kind != datatype.Boolean && p.t.Kind != datatype.Null {
		panic("expr: selection by an expression of type " + p.t.String())
	}
	p.run.reset(b.Record.Columns(), b.PhysicalRows())
	defer p.run.finish()
	rows, err := selectRows(p.root, &p.run, b.Sel)
	if err != nil {
		return nil, err
	}
	if len(rows) == b.Len() {
		return b.Sel, nil
	}
	out := make([]int32, len(rows))
	copy(out, rows)
	return out, nil
}

// SelectColumns is Select over columns that are no batch, of which rows rows exist; a
// column that the expression does not read may be nil. The rows stay valid until the
// program's next call; nil are all of them.
func (p *Program) SelectColumns(columns []arrow.Array, rows int) ([]int32, error) {
	p.run.reset(columns, rows)
	defer p.run.finish()
	kept, err := selectRows(p.root, &p.run, nil)
	if err != nil || len(kept) == rows {
		return nil, err
	}
	if p.kept == nil {
		p.kept = make([]int32, 0, rows)
	}
	p.kept = append(p.kept[:0], kept...)
	return p.kept, nil
}

// retype returns arr as type t, which has the same layout, as a new reference.
func retype(arr arrow.Array, t arrow.DataType) (arrow.Array, error) {
	have := arr.DataType()
	if dict, ok := have.(*arrow.DictionaryType); ok {
		have = dict.ValueType
	}
	if arrow.TypeEqual(have, t) {
		arr.Retain()
		return arr, nil
	}
	if have.ID() == arrow.STRUCT || have.ID() == arrow.LIST || have.ID() == arrow.MAP {
		return retypeNested(arr, t)
	}
	if _, dict := arr.(*array.Dictionary); dict {
		return nil, failure.Errorf(failure.Internal, "a dictionary of %s as %s", have, t)
	}
	d := array.NewData(t, arr.Len(), arr.Data().Buffers(), arr.Data().Children(), arr.NullN(), arr.Data().Offset())
	defer d.Release()
	return array.MakeFromData(d), nil
}

// retypeNested gives children their new types: names and nullability differ.
func retypeNested(arr arrow.Array, t arrow.DataType) (arrow.Array, error) {
	d, err := retypeData(arr.Data(), t)
	if err != nil {
		return nil, err
	}
	defer d.Release()
	return array.MakeFromData(d), nil
}

func retypeData(d arrow.ArrayData, t arrow.DataType) (arrow.ArrayData, error) {
	nested, ok := t.(arrow.NestedType)
	if !ok {
		return array.NewData(t, d.Len(), d.Buffers(), nil, d.NullN(), d.Offset()), nil
	}
	fields := nested.Fields()
	if m, ok := t.(*arrow.MapType); ok {
		fields = []arrow.Field{m.ElemField()}
	}
	if len(fields) != len(d.Children()) {
		return nil, failure.Errorf(failure.Internal, "%s as %s", d.DataType(), t)
	}
	children := make([]arrow.ArrayData, 0, len(fields))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for i, c := range d.Children() {
		child, err := retypeData(c, fields[i].Type)
		if err != nil {
			return nil, err
		}
		children = append(children, child)
	}
	return array.NewData(t, d.Len(), d.Buffers(), children, d.NullN(), d.Offset()), nil
}
