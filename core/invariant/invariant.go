package invariant

import "fmt"

// Violation is what a broken invariant panics with. It is an error, so that a recover can wrap it.
type Violation struct {
	// Message says which invariant is broken, by what, and names the ids that are concerned.
	Message string
}

// Error tells the message and that it is the engine that is at fault.
func (v Violation) Error() string { return "broken invariant: " + v.Message }

// Broken panics with a [Violation], in every build. It is for the branch that the design excludes.
func Broken(format string, args ...any) {
	panic(Violation{Message: fmt.Sprintf(format, args...)})
}

// Check panics with a [Violation] if ok is false and the build has the tag `invariants`. Its arguments are
// computed in every build: where they cost something, the call stands inside `if invariant.Enabled`.
func Check(ok bool, format string, args ...any) {
	if Enabled && !ok {
		Broken(format, args...)
	}
}
