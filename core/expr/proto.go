package expr

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/failure"
)

// maxDepth bounds the expressions that FromProto accepts.
const maxDepth = 1000

// ToProto returns e as job graphs carry it. Column names stay behind.
func ToProto(e Expr) *exprpb.Expr {
	out := &exprpb.Expr{Type: e.Type().String()}
	switch x := e.(type) {
	case *Column:
		out.Node = &exprpb.Expr_Column{Column: uint32(x.Index)}
	case *Literal:
		out.Node = &exprpb.Expr_Literal{Literal: literalToProto(x.Value)}
	case *Call:
		call := &exprpb.Call{Function: x.Function}
		for _, a := range x.Args {
			call.Args = append(call.Args, ToProto(a))
		}
		out.Node = &exprpb.Expr_Call{Call: call}
	}
	return out
}

func literalToProto(value any) *exprpb.Literal {
	out := &exprpb.Literal{}
	switch v := value.(type) {
	case bool:
		out.Value = &exprpb.Literal_Boolean{Boolean: v}
	case int64:
		out.Value = &exprpb.Literal_Integer{Integer: v}
	case float64:
		out.Value = &exprpb.Literal_Real{Real: v}
	case string:
		out.Value = &exprpb.Literal_Text{Text: v}
	case []byte:
		out.Value = &exprpb.Literal_Binary{Binary: v}
	case decimal128.Num:
		b := binary.LittleEndian.AppendUint64(nil, v.LowBits())
		out.Value = &exprpb.Literal_Decimal128{Decimal128: binary.LittleEndian.AppendUint64(b, uint64(v.HighBits()))}
	case []any:
		list := &exprpb.Literals{}
		for _, e := range v {
			list.Values = append(list.Values, literalToProto(e))
		}
		out.Value = &exprpb.Literal_Elements{Elements: list}
	}
	return out
}

// FromProto is the inverse of ToProto. It fails, with class Internal, on what
// ToProto does not write; that functions and types fit is for Compile to check.
func FromProto(p *exprpb.Expr) (Expr, error) {
	e, err := fromProto(p, 0)
	if err != nil {
		return nil, failure.Wrap(failure.Internal, fmt.Errorf("read an expression: %w", err))
	}
	return e, nil
}

func fromProto(p *exprpb.Expr, depth int) (Expr, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	t, err := datatype.Parse(p.GetType())
	if err != nil {
		return nil, err
	}
	switch n := p.GetNode().(type) {
	case *exprpb.Expr_Column:
		return &Column{Index: int(n.Column), T: t}, nil
	case *exprpb.Expr_Literal:
		value, err := literalFromProto(n.Literal, depth)
		return &Literal{Value: value, T: t}, err
	case *exprpb.Expr_Call:
		call := &Call{Function: n.Call.GetFunction(), T: t}
		for _, a := range n.Call.GetArgs() {
			arg, err := fromProto(a, depth+1)
			if err != nil {
				return nil, err
			}
			call.Args = append(call.Args, arg)
		}
		return call, nil
	default:
		return nil, fmt.Errorf("a node without content, of type %s", t)
	}
}

func literalFromProto(p *exprpb.Literal, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("literal nested deeper than %d", maxDepth)
	}
	switch v := p.GetValue().(type) {
	case nil:
		return nil, nil
	case *exprpb.Literal_Boolean:
		return v.Boolean, nil
	case *exprpb.Literal_Integer:
		return v.Integer, nil
	case *exprpb.Literal_Real:
		return v.Real, nil
	case *exprpb.Literal_Text:
		return v.Text, nil
	case *exprpb.Literal_Binary:
		return v.Binary, nil
	case *exprpb.Literal_Decimal128:
		if len(v.Decimal128) != 16 {
			return nil, fmt.Errorf("a decimal of %d bytes", len(v.Decimal128))
		}
		low, high := binary.LittleEndian.Uint64(v.Decimal128), binary.LittleEndian.Uint64(v.Decimal128[8:])
		return decimal128.New(int64(high), low), nil
	case *exprpb.Literal_Elements:
		out := make([]any, 0, len(v.Elements.GetValues()))
		for _, e := range v.Elements.GetValues() {
			x, err := literalFromProto(e, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	default:
		return nil, fmt.Errorf("literal of Go type %T", v)
	}
}
