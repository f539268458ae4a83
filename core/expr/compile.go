package expr

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
)

// Options are what a program needs from its task. The zero value is complete.
type Options struct {
	// Allocator makes the result arrays; nil means Go's heap.
	Allocator memory.Allocator
	// Location is the session's time zone; nil means UTC.
	Location *time.Location
	// Now is the clock of CURRENT_TIMESTAMP and its like; nil means time.Now.
	Now func() time.Time
	// Seed starts RAND and UUID, so that tests can repeat them; 0 means random.
	Seed uint64
}

// environment is what kernels may know of their task.
type environment struct {
	location *time.Location
	now      func() time.Time
	seed     uint64
}

func (o Options) environment() *environment {
	env := &environment{location: o.Location, now: o.Now, seed: o.Seed}
	if env.location == nil {
		env.location = time.UTC
	}
	if env.now == nil {
		env.now = time.Now
	}
	return env
}

// Compile turns an expression into a program for one goroutine. It fails where e
// calls what the catalogue does not have, or with types that the function was
// not resolved to: class Internal, since the binder checks both.
func Compile(e Expr, functions *function.Catalog, o Options) (*Program, error) {
	if o.Allocator == nil {
		o.Allocator = memory.DefaultAllocator
	}
	c := compiler{functions: functions, env: o.environment()}
	root, err := c.compile(e)
	if err != nil {
		return nil, failure.Wrap(failure.Internal, fmt.Errorf("compile %s: %w", String(e), err))
	}
	if n, ok := root.(*callNode); ok {
		n.root = true
	}
	return &Program{root: root, t: e.Type(), at: e.Type().Arrow(), run: run{mem: o.Allocator, textLimit: math.MaxInt32}}, nil
}

type compiler struct {
	functions *function.Catalog
	env       *environment
}

func (c *compiler) compile(e Expr) (node, error) {
	switch x := e.(type) {
	case *Column:
		return &columnNode{index: x.Index, layout: layoutOf(x.T)}, nil
	case *Literal:
		v, err := literalVector(x)
		if err != nil {
			return nil, err
		}
		return &literalNode{v}, nil
	case *Call:
		return c.compileCall(x)
	default:
		return nil, fmt.Errorf("expression of Go type %T", e)
	}
}

func (c *compiler) compileAll(in []Expr) ([]node, error) {
	out := make([]node, len(in))
	for i, e := range in {
		n, err := c.compile(e)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

func (c *compiler) compileCall(x *Call) (node, error) {
	if kind, ok := c.functions.Exists(x.Function); !ok || kind != function.Scalar {
		return nil, fmt.Errorf("no scalar function %s", x.Function)
	}
	args, err := c.compileAll(x.Args)
	if err != nil {
		return nil, err
	}
	if err := checkLayouts(x); err != nil {
		return nil, err
	}
	if n, ok, err := c.control(x, args); ok || err != nil {
		return n, err
	}
	k, strict, err := c.kernelOf(x)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, fmt.Errorf("%s of (%s) to %s has no kernel", x.Function, typeNames(x.Args), x.T)
	}
	texts := 0
	for _, a := range x.Args {
		if layoutOf(a.Type()) == textLayout {
			texts++
		}
	}
	n := &callNode{function: x.Function, args: args, kernel: k, out: layoutOf(x.T), strict: strict}
	n.perRow = isRandom(x.Function)
	n.byValue = strict && texts > 0 && n.out != nestedLayout && !n.perRow
	return n, nil
}

// checkLayouts refuses calls whose arguments were not cast as the catalogue says,
// where a kernel would read one layout as another.
func checkLayouts(x *Call) error {
	args := x.Args
	want := noLayout
	switch x.Function {
	case "AND", "OR", "NOT":
		want = boolLayout
	case "CASE", "IF":
		for i, a := range args {
			if i%2 == 0 && i < len(args)-1 && !hasLayout(a, boolLayout) || (i%2 == 1 || i == len(args)-1) && !hasLayout(a, layoutOf(x.T)) {
				return fmt.Errorf("argument %d of %s is %s", i+1, x.Function, a.Type())
			}
		}
		return nil
	case "COALESCE", "IFNULL", "GREATEST", "LEAST":
		want = layoutOf(x.T)
	case "IN", "NULLIF", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "=", "<>", "<", "<=", ">", ">=":
		for _, a := range args {
			if l := layoutOf(a.Type()); l != nullLayout && want == noLayout {
				want = l
			}
		}
	default:
		return nil
	}
	for i, a := range args {
		if !hasLayout(a, want) {
			return fmt.Errorf("argument %d of %s is %s", i+1, x.Function, a.Type())
		}
	}
	return nil
}

// hasLayout is true of NULL as well.
func hasLayout(e Expr, l layout) bool {
	have := layoutOf(e.Type())
	return have == l || have == nullLayout
}

func typeNames(args []Expr) string {
	names := make([]string, len(args))
	for i, a := range args {
		names[i] = a.Type().String()
	}
	return strings.Join(names, ", ")
}

// control compiles the functions that do not evaluate all arguments for all
// rows, and the comparisons; ok is false for all others.
func (c *compiler) control(x *Call, args []node) (n node, ok bool, err error) {
	switch x.Function {
	case "AND":
		return &andNode{args}, true, nil
	case "OR":
		return &orNode{args}, true, nil
	case "CASE", "IF":
		return newCase(args, x.T), true, nil
	case "COALESCE", "IFNULL":
		return &coalesceNode{args: args, t: x.T}, true, nil
	case "NULLIF":
		equal := &compareNode{op: eq, a: args[0], b: args[1], t: x.Args[0].Type()}
		null, err := literalVector(&Literal{T: x.T})
		return &caseNode{conditions: []node{equal}, values: []node{&literalNode{null}, args[0]}, t: x.T}, true, err
	case "IS DISTINCT FROM", "IS NOT DISTINCT FROM":
		compare := newCompare(ne, x, args)
		return &distinctNode{compare: compare, not: x.Function == "IS NOT DISTINCT FROM"}, true, nil
	case "IN":
		n, err := newIn(x, args)
		return n, true, err
	case "CAST", "TRY_CAST":
		k, relabel := castKernel(x.Args[0].Type(), x.T, c.env, x.Function == "TRY_CAST")
		if relabel {
			return &relabelNode{args[0], layoutOf(x.T)}, true, nil
		}
		if x.Args[0].Type().Kind == datatype.Null {
			null, err := literalVector(&Literal{T: x.T})
			return &literalNode{null}, true, err
		}
		return nil, false, kernelError(k, x)
	}
	if op := compareOpOf(x.Function); op != noCompare {
		return newCompare(op, x, args), true, nil
	}
	return nil, false, nil
}

// newCompare compares values with maps in them, which have no order, by their keys.
func newCompare(op compareOp, x *Call, args []node) *compareNode {
	n := &compareNode{op: op, a: args[0], b: args[1], t: x.Args[0].Type()}
	if !hasMap(x.Args[0].Type()) || !hasMap(x.Args[1].Type()) {
		return n
	}
	key := func(a node) node {
		return &callNode{function: "$KEY", args: []node{a}, kernel: keyKernel, out: textLayout, strict: true}
	}
	return &compareNode{op: op, a: key(args[0]), b: key(args[1]), t: datatype.Of(datatype.Varbinary)}
}

func kernelError(k kernel, x *Call) error {
	if k == nil {
		return fmt.Errorf("no cast from %s to %s", x.Args[0].Type(), x.T)
	}
	return nil
}

func newCase(args []node, t datatype.Type) node {
	n := &caseNode{t: t}
	for i := 0; i+1 < len(args); i += 2 {
		n.conditions = append(n.conditions, args[i])
		n.values = append(n.values, args[i+1])
	}
	n.values = append(n.values, args[len(args)-1])
	return n
}

// relabelNode is a cast that needs no work: the same values in another type.
type relabelNode struct {
	of     node
	layout layout
}

func (n *relabelNode) eval(c *run, sel []int32) (*vector, error) { return n.of.eval(c, sel) }

func types(args []Expr) []datatype.Type {
	out := make([]datatype.Type, len(args))
	for i, a := range args {
		out[i] = a.Type()
	}
	return out
}

// kernelOf chooses the kernel of an ordinary function.
func (c *compiler) kernelOf(x *Call) (k kernel, strict bool, err error) {
	if t, ok := truthTestOf(x.Function); ok {
		return t.kernel, false, nil
	}
	switch x.Function {
	case "+", "-", "*", "/", "%":
		return operatorKernel(x.Function, types(x.Args), x.T), true, nil
	case "NOT":
		return notKernel, true, nil
	case "CAST", "TRY_CAST":
		k, _ := castKernel(x.Args[0].Type(), x.T, c.env, x.Function == "TRY_CAST")
		return k, true, nil
	}
	return c.functionKernel(x)
}
