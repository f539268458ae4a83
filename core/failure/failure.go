package failure

import (
	"context"
	"errors"
	"fmt"
)

// Class says what an error means to whoever must react to it.
type Class uint8

// The classes. Their numbers travel in core/rpc and must not be reordered.
const (
	Unclassified  Class = iota // never attached; what the zero value means
	Transient                  // may succeed when tried again: network, timeout, busy server
	Fatal                      // cannot succeed by trying again
	UserCode                   // raised by the user's own function or expression
	BadData                    // an input file or row is not what its schema says
	LostPartition              // an input partition is gone: its producer must run again
	Usage                      // wrong flags or configuration
	InvalidSQL                 // a statement that cannot be parsed, bound or planned
	NotFound                   // a file, table, job or savepoint does not exist
	Conflict                   // exists already, or another version of it won
	Unauthorized               // the caller may not
	Cancelled                  // the user or a superior ended it
	Internal                   // a broken invariant: a bug
)

var names = [...]string{
	"unclassified", "transient", "fatal", "user code", "bad data", "lost partition", "usage",
	"invalid SQL", "not found", "conflict", "unauthorized", "cancelled", "internal",
}

// String is the class in words.
func (c Class) String() string {
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Retryable reports whether running the same work again can help.
func (c Class) Retryable() bool { return c == Transient || c == LostPartition }

// ExitCode is the documented process exit code of a command that ends with an
// error of this class.
func (c Class) ExitCode() int {
	switch c {
	case Usage:
		return 2
	case InvalidSQL:
		return 3
	case NotFound:
		return 4
	case Conflict:
		return 5
	case Unauthorized:
		return 6
	case Transient, LostPartition:
		return 75
	case Cancelled:
		return 130
	default:
		return 1
	}
}

type classified struct {
	class Class
	err   error
}

func (e *classified) Error() string { return e.err.Error() }
func (e *classified) Unwrap() error { return e.err }

// Wrap attaches a class to err and leaves its text as it is; nil stays nil.
func Wrap(c Class, err error) error {
	if err == nil {
		return nil
	}
	return &classified{class: c, err: err}
}

// Errorf is fmt.Errorf with a class; %w keeps the cause.
func Errorf(c Class, format string, args ...any) error {
	return &classified{class: c, err: fmt.Errorf(format, args...)}
}

// Of returns the outermost class in err's chain. A context's end is Cancelled,
// its deadline Transient, and anything nobody classified is Fatal.
func Of(err error) Class {
	var c *classified
	switch {
	case err == nil:
		return Unclassified
	case errors.As(err, &c):
		return c.class
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return Transient
	default:
		return Fatal
	}
}

// Recovered turns the value of a recovered panic into an Internal error that
// carries the stack and what was being done.
func Recovered(doing string, value any, stack []byte) error {
	return Errorf(Internal, "%s: internal error: %v\n%s", doing, value, stack)
}
