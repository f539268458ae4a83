package expr

import (
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/function"
)

// Fold computes what is constant: calls of deterministic functions on literals.
// It also drops the arms of AND, OR and CASE that a literal decides. What fails
// stays as it is, so that it fails at run time, if it is ever reached.
func Fold(e Expr, functions *function.Catalog, o Options) Expr {
	o.Allocator = memory.DefaultAllocator
	return Rewrite(e, func(e Expr) Expr {
		c, ok := e.(*Call)
		if !ok {
			return e
		}
		if s := simplify(c); s != nil {
			return s
		}
		if !foldable(c) {
			return e
		}
		value, err := constantValue(c, functions, o)
		if err != nil {
			return e
		}
		return &Literal{Value: value, T: c.T}
	})
}

// foldable reports a call of a deterministic function on literals only.
func foldable(c *Call) bool {
	for _, a := range c.Args {
		if _, ok := a.(*Literal); !ok {
			return false
		}
	}
	return !isVolatile(c)
}

// isVolatile reports functions whose result depends on more than arguments.
func isVolatile(c *Call) bool {
	switch c.Function {
	case "RAND", "RAND_INTEGER", "UUID", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "PROCTIME":
		return true
	case "UNIX_TIMESTAMP":
		return len(c.Args) == 0
	default:
		return false
	}
}

// maxFolded is the longest text that is computed while planning: it travels with the
// plan, and is charged to nobody there.
const maxFolded = 64 << 10

func constantValue(c *Call, functions *function.Catalog, o Options) (any, error) {
	p, err := Compile(c, functions, o)
	if err != nil {
		return nil, err
	}
	p.run.textLimit = maxFolded
	arr, err := p.EvalColumns(nil, 1, nil)
	if err != nil {
		return nil, err
	}
	defer arr.Release()
	return compute.ValueAt(arr, 0), nil
}

// simplify removes what a literal argument decides or makes needless; nil when
// there is nothing to remove.
func simplify(c *Call) Expr {
	switch c.Function {
	case "AND":
		return simplifyLogic(c, false)
	case "OR":
		return simplifyLogic(c, true)
	case "CASE", "IF":
		return simplifyCase(c)
	default:
		return nil
	}
}

// truthLiteral returns the value of a boolean literal.
func truthLiteral(e Expr) (value, ok bool) {
	l, isLiteral := e.(*Literal)
	if !isLiteral {
		return false, false
	}
	value, ok = l.Value.(bool)
	return value, ok
}

func simplifyLogic(c *Call, decisive bool) Expr {
	kept := make([]Expr, 0, len(c.Args))
	for _, a := range c.Args {
		value, ok := truthLiteral(a)
		if ok && value == decisive {
			return &Literal{Value: decisive, T: c.T}
		}
		if !ok {
			kept = append(kept, a)
		}
	}
	switch {
	case len(kept) == len(c.Args):
		return nil
	case len(kept) == 0:
		return &Literal{Value: !decisive, T: c.T}
	case len(kept) == 1:
		return kept[0]
	default:
		return &Call{Function: c.Function, Args: kept, T: c.T}
	}
}

func simplifyCase(c *Call) Expr {
	kept := make([]Expr, 0, len(c.Args))
	for i := 0; i+1 < len(c.Args); i += 2 {
		value, ok := truthLiteral(c.Args[i])
		if l, isLiteral := c.Args[i].(*Literal); isLiteral && l.Value == nil {
			ok = true // NULL is not true
		}
		switch {
		case ok && !value:
		case ok:
			return caseOf(append(kept, c.Args[i+1]), c)
		default:
			kept = append(kept, c.Args[i], c.Args[i+1])
		}
	}
	if len(kept) == len(c.Args)-1 {
		return nil
	}
	return caseOf(append(kept, c.Args[len(c.Args)-1]), c)
}

// caseOf rebuilds a CASE from what is left of its arguments.
func caseOf(args []Expr, c *Call) Expr {
	if len(args) > 1 {
		return &Call{Function: "CASE", Args: args, T: c.T}
	}
	if l, ok := args[0].(*Literal); ok && l.Value == nil {
		return &Literal{T: c.T}
	}
	return args[0]
}
