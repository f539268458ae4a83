package task

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/calc"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/endpoint"
	"github.com/tidemill/tidemill/core/operator/expand"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/operator/lookupjoin"
	"github.com/tidemill/tidemill/core/operator/match"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/core/operator/over"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/operator/session"
	"github.com/tidemill/tidemill/core/operator/temporaljoin"
	"github.com/tidemill/tidemill/core/operator/unnest"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/operator/updatejoin"
	"github.com/tidemill/tidemill/core/operator/updateover"
	"github.com/tidemill/tidemill/core/operator/updatetop"
	"github.com/tidemill/tidemill/core/operator/window"
	"github.com/tidemill/tidemill/shuffle"
)

// newOperator makes the live operator of a spec: the one place that knows all of
// them. inputs are the schemas of what it reads.
func (t *Task) newOperator(spec *jobgraph.Operator, inputs []datatype.Schema, out datatype.Schema) (operator.Operator, error) {
	in := func() datatype.Schema {
		if len(inputs) == 0 {
			return nil
		}
		return inputs[0]
	}()
	switch s := spec.Spec.(type) {
	case *jobgraph.Operator_Source:
		return t.newSource(spec)
	case *jobgraph.Operator_Values:
		return endpoint.NewValues(s.Values, out)
	case *jobgraph.Operator_Calc:
		return calc.New(s.Calc, out, t.calcDeps())
	case *jobgraph.Operator_Watermark:
		return calc.NewWatermarkAssigner(s.Watermark, in, len(spec.Sides) > 0, t.calcDeps())
	case *jobgraph.Operator_Aggregate:
		return aggregate.New(s.Aggregate, in)
	case *jobgraph.Operator_WindowAggregate:
		if s.WindowAggregate.GetWindow().GetKind() == jobgraph.WindowKind_WINDOW_SESSION {
			return session.New(s.WindowAggregate, in, out)
		}
		return window.New(s.WindowAggregate, in, out)
	case *jobgraph.Operator_UpdatingAggregate:
		return updateagg.New(s.UpdatingAggregate, in, out)
	case *jobgraph.Operator_Join:
		return t.newJoin(s.Join, inputs)
	case *jobgraph.Operator_UpdatingJoin:
		return t.newUpdatingJoin(s.UpdatingJoin, inputs)
	case *jobgraph.Operator_TemporalJoin:
		return t.newTemporalJoin(s.TemporalJoin, inputs)
	case *jobgraph.Operator_LookupJoin:
		return t.newLookupJoin(s.LookupJoin, in)
	case *jobgraph.Operator_Expand:
		return expand.New(s.Expand, in, out)
	case *jobgraph.Operator_Unnest:
		return unnest.New(s.Unnest, in, out)
	case *jobgraph.Operator_Over:
		return over.New(s.Over, in)
	case *jobgraph.Operator_Sort:
		return order.NewSort(s.Sort, in)
	case *jobgraph.Operator_TopN:
		return order.NewTopN(s.TopN, in)
	case *jobgraph.Operator_GroupTopN:
		return order.NewGroupTopN(s.GroupTopN, in)
	case *jobgraph.Operator_UpdatingOver:
		return updateover.New(s.UpdatingOver, in, out)
	case *jobgraph.Operator_MatchRecognize:
		calc := t.calcDeps()
		return match.New(s.MatchRecognize, in, out, match.Deps{Functions: calc.Functions, Expr: calc.Expr})
	case *jobgraph.Operator_UpdatingTopN:
		return updatetop.New(s.UpdatingTopN, in, out)
	case *jobgraph.Operator_RejectLimit:
		return aside.NewRejectLimit(s.RejectLimit)
	case *jobgraph.Operator_Limit:
		return order.NewLimit(s.Limit)
	case *jobgraph.Operator_Union:
		return order.NewUnion(), nil
	case *jobgraph.Operator_WindowTable:
		return window.NewTable(s.WindowTable, in, out)
	case *jobgraph.Operator_Materialize:
		return changelog.New(s.Materialize, in)
	case *jobgraph.Operator_Process:
		return process.New(spec, in, t.env.Functions)
	case *jobgraph.Operator_Sink:
		return t.newSink(spec.Uid, s.Sink)
	default:
		return nil, failure.Errorf(failure.Internal, "no operator for a spec of type %T", spec.Spec)
	}
}

// newJoin makes a join, which is the head of the chain. Where the build side is
// broadcast the subtasks here build it once.
func (t *Task) newJoin(spec *jobgraph.Join, inputs []datatype.Schema) (operator.Operator, error) {
	if len(inputs) != 2 || len(t.d.In) != 2 {
		return nil, failure.Errorf(failure.Internal, "a join of %d inputs behind %d exchanges", len(inputs), len(t.d.In))
	}
	calc := t.calcDeps()
	deps := join.Deps{Functions: calc.Functions, Expr: calc.Expr, Filters: t.env.Filters}
	if distribution(t.d.In[1]) == shuffle.Broadcast {
		deps.Builds = t.env.Builds
	}
	return join.New(spec, inputs[0], inputs[1], deps)
}

func (t *Task) newUpdatingJoin(spec *jobgraph.UpdatingJoin, inputs []datatype.Schema) (operator.Operator, error) {
	if len(inputs) != 2 {
		return nil, failure.Errorf(failure.Internal, "a join of %d inputs", len(inputs))
	}
	calc := t.calcDeps()
	return updatejoin.New(spec, inputs[0], inputs[1], updatejoin.Deps{Functions: calc.Functions, Expr: calc.Expr})
}

func (t *Task) newTemporalJoin(spec *jobgraph.TemporalJoin, inputs []datatype.Schema) (operator.Operator, error) {
	if len(inputs) != 2 {
		return nil, failure.Errorf(failure.Internal, "a join of %d inputs", len(inputs))
	}
	calc := t.calcDeps()
	return temporaljoin.New(spec, inputs[0], inputs[1], temporaljoin.Deps{Functions: calc.Functions, Expr: calc.Expr})
}

func (t *Task) newLookupJoin(spec *jobgraph.LookupJoin, in datatype.Schema) (operator.Operator, error) {
	source, err := endpoint.SourceSpec(spec.Table, t.d.Parallelism)
	if err != nil {
		return nil, err
	}
	c, err := t.env.Connectors(spec.Table.GetConnector())
	if err != nil {
		return nil, err
	}
	looker, ok := c.(connector.Looker)
	if !ok {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: connector %s finds no rows by key", source.Table.Name, c.Name())
	}
	settings, err := connector.ParseLookup(source.Table, connector.FullCache)
	if err != nil {
		return nil, err
	}
	calc := t.calcDeps()
	return lookupjoin.New(spec, in, lookupjoin.Deps{
		Looker: looker, Source: source, Retries: settings.Retries, Functions: calc.Functions, Expr: calc.Expr,
	})
}

func (t *Task) calcDeps() calc.Deps {
	return calc.Deps{Functions: function.Builtins(), Expr: expr.Options{Now: t.env.Now, Location: t.d.Options.Zone}}
}

func (t *Task) newSource(op *jobgraph.Operator) (operator.Operator, error) {
	s := op.GetSource()
	spec, err := endpoint.SourceSpec(s, t.d.Parallelism)
	if err != nil {
		return nil, err
	}
	c, err := t.env.Connectors(s.Connector)
	if err != nil {
		return nil, err
	}
	deps := t.calcDeps()
	return endpoint.NewSource(spec, endpoint.SourceDeps{
		Connector: c, Splits: splitsOf{t}, SlowSplits: t.env.SlowSplits, Now: t.env.Now, Metrics: t.env.Metrics,
		Rejects: s.Rejects, Sides: len(op.Sides) > 0, Watermark: s.Watermark, Calc: deps, Filters: endpoint.RowFilters{
			Conditions: s.RowFilters, Keys: s.KeyFilters, Set: t.env.Filters, Functions: deps.Functions, Expr: deps.Expr,
		},
	})
}

func (t *Task) newSink(uid string, s *jobgraph.Sink) (operator.Operator, error) {
	spec, err := endpoint.SinkSpec(t.d.Job, s, !t.d.Streaming)
	if err != nil {
		return nil, err
	}
	c, err := t.env.Connectors(s.Connector)
	if err != nil {
		return nil, err
	}
	return endpoint.NewSink(spec, endpoint.SinkDeps{Connector: c, Prepared: func(_ id.Checkpoint, all []connector.Committable) error {
		for _, one := range all {
			t.prepared = append(t.prepared, Committable{Operator: uid, Committable: one})
		}
		return nil
	}})
}

// splitsOf asks the coordinator task for splits of the task's source.
type splitsOf struct{ task *Task }

// Next implements endpoint.SplitSource.
func (s splitsOf) Next(ctx context.Context) (connector.Split, bool, error) {
	return s.task.env.Splits.NextSplit(ctx, s.task.d.Job, s.task.d.Attempt)
}

// schemas turns the columns of a job graph into schemas.
func schemas(fields ...[]*jobgraph.Field) ([]datatype.Schema, error) {
	out := make([]datatype.Schema, len(fields))
	for i, f := range fields {
		s, err := endpoint.Schema(f)
		if err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		out[i] = s
	}
	return out, nil
}
