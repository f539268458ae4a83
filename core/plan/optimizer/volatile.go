package optimizer

import "github.com/tidemill/tidemill/core/expr"

// deterministic reports whether e gives the same for the same row, however often
// and wherever it is evaluated. The time of day does not count: a statement may
// read it at any moment while it runs.
func deterministic(e expr.Expr) bool {
	call, ok := e.(*expr.Call)
	if !ok {
		return true
	}
	switch call.Function {
	case "RAND", "RAND_INTEGER", "UUID":
		return false
	}
	for _, a := range call.Args {
		if !deterministic(a) {
			return false
		}
	}
	return true
}
