package task

import (
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
)

// newState makes the keyed state of an operator; nil for those without. An
// aggregate of a bounded job, and a partial one, which flushes at barriers, hold
// their groups themselves.
func (t *Task) newState(spec *jobgraph.Operator, ctx *operator.Context) (state.Backend, error) {
	var phase jobgraph.Phase
	switch s := spec.Spec.(type) {
	case *jobgraph.Operator_Aggregate:
		phase = s.Aggregate.Phase
	case *jobgraph.Operator_WindowAggregate:
		phase = s.WindowAggregate.Phase
	default:
		return nil, nil
	}
	if !t.d.Streaming || phase == jobgraph.Phase_PHASE_PARTIAL {
		return nil, nil
	}
	owners, err := keygroup.Even(t.d.KeyGroups, t.d.Parallelism)
	if err != nil {
		return nil, err
	}
	own := owners.Range(int(t.d.Attempt.Subtask.Index))
	return memstate.New(t.d.KeyGroups, own, ctx.Alloc, ctx.Memory), nil
}
