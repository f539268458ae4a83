package endpoint

import (
	"fmt"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/predicate"
)

// Schema reads the columns of a job graph.
func Schema(fields []*jobgraph.Field) (datatype.Schema, error) {
	out := make(datatype.Schema, len(fields))
	for i, f := range fields {
		t, err := datatype.Parse(f.Type)
		if err != nil {
			return nil, failure.Errorf(failure.Internal, "column %s: %w", f.Name, err)
		}
		out[i] = datatype.Field{Name: f.Name, Type: t}
	}
	return out, nil
}

// SourceSpec turns a job graph's source into a connector's.
func SourceSpec(s *jobgraph.Source, parallelism int) (connector.SourceSpec, error) {
	columns, err := Schema(s.Columns)
	if err != nil {
		return connector.SourceSpec{}, fmt.Errorf("source %s: %w", s.Table, err)
	}
	all, err := Schema(s.TableColumns)
	if err != nil {
		return connector.SourceSpec{}, fmt.Errorf("source %s: %w", s.Table, err)
	}
	out := connector.SourceSpec{
		Table:       connector.Table{Name: s.Table, Options: s.Options, Schema: all, Partitions: s.PartitionColumns, PrimaryKey: s.PrimaryKey},
		Columns:     columns,
		Limit:       s.Limit,
		Parallelism: parallelism,
	}
	if s.Predicate != nil {
		p, err := predicateOf(s.Predicate)
		if err != nil {
			return connector.SourceSpec{}, fmt.Errorf("source %s: predicate: %w", s.Table, err)
		}
		out.Predicate = &p
	}
	return out, nil
}

// SinkSpec turns a job graph's sink into a connector's.
func SinkSpec(job id.Job, s *jobgraph.Sink, bounded bool) (connector.SinkSpec, error) {
	columns, err := Schema(s.Columns)
	if err != nil {
		return connector.SinkSpec{}, fmt.Errorf("sink %s: %w", s.Table, err)
	}
	return connector.SinkSpec{
		Job:             job,
		Table:           connector.Table{Name: s.Table, Options: s.Options, Schema: columns, Partitions: s.PartitionColumns, PrimaryKey: s.PrimaryKey},
		Columns:         columns,
		Overwrite:       s.Overwrite,
		StaticPartition: s.StaticPartition,
		Bounded:         bounded,
	}, nil
}

func predicateOf(p *jobgraph.Predicate) (predicate.Predicate, error) {
	out := predicate.Predicate{Op: predicate.Op(p.Op), Column: p.Column}
	if out.Op == predicate.Invalid || out.Op > predicate.Or {
		return out, failure.Errorf(failure.Internal, "operation %d", p.Op)
	}
	for _, l := range p.Literals {
		v, err := literal(l)
		if err != nil {
			return out, err
		}
		out.Literals = append(out.Literals, v)
	}
	for _, t := range p.Terms {
		term, err := predicateOf(t)
		if err != nil {
			return out, err
		}
		out.Terms = append(out.Terms, term)
	}
	return out, nil
}

// literal is a constant in its physical form.
func literal(l *exprpb.Literal) (any, error) {
	e, err := expr.FromProto(&exprpb.Expr{Type: datatype.Null.String(), Node: &exprpb.Expr_Literal{Literal: l}})
	if err != nil {
		return nil, err
	}
	return e.(*expr.Literal).Value, nil
}
