package task

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
)

// keepsState says whether an operator of a streaming job has keyed state. A partial aggregate,
// which flushes at barriers, holds its groups itself.
func keepsState(spec *jobgraph.Operator) bool {
	switch s := spec.Spec.(type) {
	case *jobgraph.Operator_Aggregate:
		return s.Aggregate.Phase != jobgraph.Phase_PHASE_PARTIAL
	case *jobgraph.Operator_WindowAggregate:
		return s.WindowAggregate.Phase != jobgraph.Phase_PHASE_PARTIAL
	case *jobgraph.Operator_UpdatingAggregate:
		return s.UpdatingAggregate.Phase != jobgraph.Phase_PHASE_PARTIAL
	case *jobgraph.Operator_UpdatingJoin, *jobgraph.Operator_UpdatingTopN, *jobgraph.Operator_UpdatingOver, *jobgraph.Operator_Materialize, *jobgraph.Operator_MatchRecognize, *jobgraph.Operator_TemporalJoin:
		return true
	case *jobgraph.Operator_Process:
		return len(s.Process.Keys) > 0
	default:
		return false
	}
}

// newState makes the keyed state of an operator, empty.
func (t *Task) newState(own keygroup.Range, ctx *operator.Context) (state.Backend, error) {
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
func (d Descriptor) ownGroups() (keygroup.Range, error) {
	owners, err := keygroup.Even(d.KeyGroups, d.Parallelism)
	if err != nil {
		return keygroup.Range{}, err
	}
	return owners.Range(int(d.Attempt.Subtask.Index)), nil
}

// savedOf is what a restore has for an operator; nil: nothing.
func savedOf(r *checkpoint.Restore, spec *jobgraph.Operator) (found *checkpoint.OperatorRestore) {
	for _, o := range r.GetOperators() {
		if o.Uid == spec.Uid {
			found = o
		}
	}
	return found
}
