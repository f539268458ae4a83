package task

import (
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
)

// newState makes the keyed state of an operator; nil for those without. Sort,
// top-n and the rest of a bounded plan hold what they need themselves.
func (t *Task) newState(spec *jobgraph.Operator, ctx *operator.Context) (state.Backend, error) {
	return nil, nil
}
