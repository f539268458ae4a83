package task

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
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
	case *jobgraph.Operator_UpdatingAggregate:
		phase = s.UpdatingAggregate.Phase
	case *jobgraph.Operator_UpdatingJoin, *jobgraph.Operator_UpdatingTopN, *jobgraph.Operator_UpdatingOver, *jobgraph.Operator_Materialize, *jobgraph.Operator_MatchRecognize, *jobgraph.Operator_TemporalJoin:
		phase = jobgraph.Phase_PHASE_SINGLE
	case *jobgraph.Operator_Process:
		if len(s.Process.Keys) == 0 {
			return nil, nil
		}
		phase = jobgraph.Phase_PHASE_SINGLE
	default:
		return nil, nil
	}
	if !t.d.Streaming || phase == jobgraph.Phase_PHASE_PARTIAL {
		return nil, nil
	}
	own, err := t.ownGroups()
	if err != nil {
		return nil, err
	}
	if !t.d.Options.StateOnDisk {
		return memstate.New(t.d.KeyGroups, own, ctx.Alloc, ctx.Memory), nil
	}
	if t.env.State == nil {
		return nil, failure.Errorf(failure.Internal, "a worker without a place for state on disk")
	}
	budget := cmp.Or(t.d.Options.StateBudget, t.env.StateBudget)
	b, home, err := t.env.State.NewAt(id.Checkpoint(t.d.Restore.GetCheckpoint()), t.d.KeyGroups, own, ctx.Alloc, ctx.Memory, budget)
	if err != nil {
		return nil, err
	}
	if home != "" && !slices.Contains(t.homes, home) {
		t.homes = append(t.homes, home)
	}
	return b, nil
}

// ownGroups are the key groups of the subtask.
func (t *Task) ownGroups() (keygroup.Range, error) {
	owners, err := keygroup.Even(t.d.KeyGroups, t.d.Parallelism)
	if err != nil {
		return keygroup.Range{}, err
	}
	return owners.Range(int(t.d.Attempt.Subtask.Index)), nil
}
