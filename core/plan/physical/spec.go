package physical

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/predicate"
)

func fields(s datatype.Schema) []*jobgraph.Field {
	out := make([]*jobgraph.Field, len(s))
	for i, f := range s {
		out[i] = &jobgraph.Field{Name: f.Name, Type: f.Type.String()}
	}
	return out
}

func refs(columns []int) []uint32 {
	out := make([]uint32, len(columns))
	for i, c := range columns {
		out[i] = uint32(c)
	}
	return out
}

func sortKeys(keys []plan.SortKey) []*jobgraph.SortKey {
	out := make([]*jobgraph.SortKey, len(keys))
	for i, k := range keys {
		out[i] = &jobgraph.SortKey{Column: uint32(k.Column), Descending: k.Descending, NullsFirst: k.NullsFirst}
	}
	return out
}

func literalProto(value any) *exprpb.Literal {
	return expr.ToProto(&expr.Literal{Value: value}).GetLiteral()
}

func predicateProto(p predicate.Predicate) *jobgraph.Predicate {
	out := &jobgraph.Predicate{Op: uint32(p.Op), Column: p.Column}
	for _, l := range p.Literals {
		out.Literals = append(out.Literals, literalProto(l))
	}
	for _, t := range p.Terms {
		out.Terms = append(out.Terms, predicateProto(t))
	}
	return out
}
