package residual

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/function"
)

// Condition is a residual. A nil one is true of all pairs.
type Condition struct {
	tree expr.Expr
	// Reads says of each column of pairs whether the condition reads it.
	Reads []bool
}

// New returns the condition over pairs of width columns; nil for none.
func New(x *exprpb.Expr, width int) (*Condition, error) {
	if x == nil {
		return nil, nil
	}
	tree, err := expr.FromProto(x)
	if err != nil {
		return nil, fmt.Errorf("join condition: %w", err)
	}
	c := &Condition{tree: tree, Reads: make([]bool, width)}
	for _, column := range expr.Columns(tree) {
		if column >= width {
			return nil, fmt.Errorf("join condition: column %d of %d", column, width)
		}
		c.Reads[column] = true
	}
	return c, nil
}

// Compile returns the program that selects among pairs; nil for no condition. What it makes
// is of alloc.
func (c *Condition) Compile(functions *function.Catalog, o expr.Options, alloc memory.Allocator) (*expr.Program, error) {
	if c == nil {
		return nil, nil
	}
	o.Allocator = alloc
	p, err := expr.Compile(c.tree, functions, o)
	if err != nil {
		return nil, fmt.Errorf("join condition: %w", err)
	}
	return p, nil
}
