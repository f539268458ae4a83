package memory

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/tidemill/tidemill/core/failure"
)

// ExhaustedError says that a charge would exceed a limit. Its class is
// failure.Fatal: trying again with the same limit fails again.
type ExhaustedError struct {
	Account string // path of the account that wanted the bytes
	Wanted  int64  // bytes
	Limited string // path of the account whose limit was hit: Account or one above
	Used    int64  // bytes charged there
	Limit   int64
	Option  string // the configuration key that raises Limit
	// Cancelled is the error of the context that ended while the charge waited for
	// room; nil: there was none.
	Cancelled error
}

// Unwrap is Cancelled.
func (e *ExhaustedError) Unwrap() error { return e.Cancelled }

// Error tells who wanted how much, which limit stood in the way and what raises it.
func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("memory exhausted: %s wanted %s, %s uses %s of %s; raise %s",
		e.Account, size(e.Wanted), e.Limited, size(e.Used), size(e.Limit), e.Option)
}

// Recover turns the panic of an accounted allocator that was refused into the
// error at err; other panics go on. Call it deferred. An error that was already
// there is joined.
func Recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case *ExhaustedError:
		*err = errors.Join(failure.Wrap(failure.Fatal, r), *err)
	default:
		panic(r)
	}
}

// Recovered is the error of a recovered panic, whatever it was: the refusal of an accounted
// allocator, or an internal error with the stack. Call it in the deferred function that
// recovers.
func Recovered(doing string, value any) error {
	if e, ok := value.(*ExhaustedError); ok {
		return failure.Wrap(failure.Fatal, e)
	}
	return failure.Recovered(doing, value, debug.Stack())
}

// size prints bytes with a binary unit and three significant digits.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1<<10 && unit < len(units)-1 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.3g %ciB", value, units[unit])
}
