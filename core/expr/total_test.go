package expr

import (
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
)

// What may fail on a row, or gives another value each time, must wait its turn.
func TestTotal(t *testing.T) {
	n := &Column{Index: 0, Name: "n", T: datatype.Of(datatype.Int)}
	s := &Column{Index: 1, Name: "s", T: datatype.Of(datatype.Varchar)}
	one := &Literal{Value: int64(1), T: datatype.Of(datatype.Int)}
	truth := datatype.Of(datatype.Boolean)
	call := func(f string, t datatype.Type, args ...Expr) Expr { return &Call{Function: f, Args: args, T: t} }
	for _, c := range []struct {
		e    Expr
		want bool
	}{
		{call("AND", truth, call("<", truth, n, one), call("NOT", truth, call("IS NULL", truth, s))), true},
		{call("IN", truth, n, one), true},
		{call("=", truth, call("CAST", datatype.Of(datatype.BigInt), n), one), true},
		{call("=", truth, call("CAST", datatype.Of(datatype.Int), s), one), false},
		{call("<", truth, call("/", datatype.Of(datatype.Int), one, n), one), false},
		{call("<", truth, call("RAND", datatype.Of(datatype.Double)), one), false},
		{call("LIKE", truth, s, &Literal{Value: "a%", T: datatype.Of(datatype.Varchar)}), false},
	} {
		if got := Total(c.e); got != c.want {
			t.Errorf("%s: got %v", String(c.e), got)
		}
	}
}
