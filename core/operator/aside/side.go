package aside

import (
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/operator"
)

// sideOutput is the output of an operator whose plan has a side for what.
func sideOutput(ctx *operator.Context, what string) (operator.SideOutput, error) {
	out, ok := ctx.Output.(operator.SideOutput)
	if !ok {
		return nil, failure.Errorf(failure.Internal, "%s: the output has no sides", what)
	}
	return out, nil
}
