package calc

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// compactBelow is the share of selected rows, one in so many, below which a
// batch is made dense.
const compactBelow = 4

// Deps is what the operators of the package need beside their specs.
type Deps struct {
	Functions *function.Catalog
	// Expr are the options of their programs; the allocator is the task's.
	Expr expr.Options
}

// Calc is the operator of a jobgraph.Calc.
type Calc struct {
	filter     expr.Expr // nil: none
	projection []expr.Expr
	reads      []int // columns that the projection reads
	base       int   // the first column beyond those
	order      []int // in which the projection is computed where columns of it read others
	output     *arrow.Schema
	deps       Deps

	ctx      *operator.Context
	where    *expr.Program
	programs []*expr.Program
}

// New returns the operator that spec describes, with output columns out.
func New(spec *jobgraph.Calc, out datatype.Schema, deps Deps) (operator.Operator, error) {
	c := &Calc{deps: deps}
	var err error
	if spec.Filter != nil {
		if c.filter, err = expr.FromProto(spec.Filter); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
	}
	if c.projection, err = fromProtos(spec.Projection); err != nil {
		return nil, fmt.Errorf("projection: %w", err)
	}
	if len(c.projection) > 0 && len(c.projection) != len(out) {
		return nil, fmt.Errorf("projection: %d columns for %d expressions", len(out), len(c.projection))
	}
	if c.reads = expr.Columns(c.projection...); len(c.reads) > 0 {
		c.base = c.reads[len(c.reads)-1] + 1
	}
	c.projection, c.order = expr.Share(c.projection, c.base)
	c.output = out.Arrow()
	return c, nil
}

func fromProtos(in []*exprpb.Expr) ([]expr.Expr, error) {
	var out []expr.Expr
	for i, p := range in {
		e, err := expr.FromProto(p)
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", i+1, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// Open implements operator.Operator.
func (c *Calc) Open(ctx *operator.Context) (err error) {
	c.ctx = ctx
	o := c.deps.Expr
	o.Allocator = ctx.Alloc
	if c.filter != nil {
		if c.where, err = expr.Compile(c.filter, c.deps.Functions, o); err != nil {
			return fmt.Errorf("filter: %w", err)
		}
	}
	c.programs = make([]*expr.Program, len(c.projection))
	for i, e := range c.projection {
		if c.programs[i], err = expr.Compile(e, c.deps.Functions, o); err != nil {
			return fmt.Errorf("column %s: %w", c.output.Field(i).Name, err)
		}
	}
	return nil
}

// Process implements operator.Operator.
func (c *Calc) Process(_ int, b *stream.Batch) error {
	if c.where != nil {
		sel, err := c.where.Select(b)
		if err != nil {
			err = expr.InRow(err, b.Record.Schema(), b.Record.Columns(), func(row int) int { return row })
			b.Release()
			return err
		}
		b.Sel = sel
	}
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	sparse := b.Sel != nil && len(b.Sel)*compactBelow < b.PhysicalRows()
	b, err := c.project(b, sparse)
	if err != nil {
		return err
	}
	return c.ctx.Output.Emit(b)
}

// project consumes b and returns what the projection makes of it.
func (c *Calc) project(b *stream.Batch, sparse bool) (*stream.Batch, error) {
	if len(c.programs) == 0 {
		if sparse {
			return compute.TakeBatch(c.ctx.Alloc, b)
		}
		return b, nil
	}
	columns, rows, sel := b.Record.Columns(), b.PhysicalRows(), b.Sel
	if sparse {
		dense, err := c.gather(b)
		defer func() { compute.ReleaseAll(dense) }()
		if err != nil {
			b.Release()
			return nil, err
		}
		columns, rows, sel = dense, b.Len(), nil
	}
	out := make([]arrow.Array, len(c.programs))
	defer func() { compute.ReleaseAll(out) }()
	if err := c.evaluate(out, columns, rows, sel); err != nil {
		err = expr.InRow(err, b.Record.Schema(), b.Record.Columns(), func(row int) int {
			if sparse {
				return int(b.Sel[row])
			}
			return row
		})
		b.Release()
		return nil, err
	}
	record := operator.NewBatch(c.output, out, rows).Record
	kinds := b.Kinds
	if sparse && kinds != nil {
		kinds = make([]stream.RowKind, rows)
		for i, r := range b.Sel {
			kinds[i] = b.Kinds[r]
		}
	}
	b = b.WithRecord(record)
	b.Sel, b.Kinds = sel, kinds
	return b, nil
}

// evaluate computes the projection's columns into out.
func (c *Calc) evaluate(out, columns []arrow.Array, rows int, sel []int32) (err error) {
	if c.order == nil {
		for i, p := range c.programs {
			if out[i], err = p.EvalColumns(columns, rows, sel); err != nil {
				return err
			}
		}
		return nil
	}
	columns = slices.Grow(columns[:c.base:c.base], len(out))[:c.base+len(out)]
	for _, i := range c.order {
		if out[i], err = c.programs[i].EvalColumns(columns, rows, sel); err != nil {
			return err
		}
		columns[c.base+i] = out[i]
	}
	return nil
}

// gather makes the columns that the projection reads dense; the others are nil.
func (c *Calc) gather(b *stream.Batch) ([]arrow.Array, error) {
	dense := make([]arrow.Array, b.Record.NumCols())
	for _, i := range c.reads {
		var err error
		if dense[i], err = compute.Take(c.ctx.Alloc, b.Column(i), b.Sel); err != nil {
			return dense, fmt.Errorf("column %s: %w", b.Record.ColumnName(i), err)
		}
	}
	return dense, nil
}

// Watermark implements operator.Operator.
func (c *Calc) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (c *Calc) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (c *Calc) Close() error { return nil }

var _ operator.Operator = (*Calc)(nil)
