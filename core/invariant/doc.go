// Package invariant holds checks that a release build does not pay for.
//
// Two kinds of checks exist. A check that costs nothing worth measuring stands in the code
// unconditionally and ends in [Broken]:
//
//	default:
//		invariant.Broken("attempt %s: no move from %s on %s", id, state, event)
//
// A check that walks data, keeps a second copy of it or slows a hot path is compiled in by the build tag
// `invariants` only. [Enabled] is a constant, so the compiler removes the body otherwise:
//
//	if invariant.Enabled {
//		invariant.Check(slices.IsSorted(keys), "run %d is not sorted", run)
//	}
//
// [Sometimes] makes rare ways common under that tag: flush early, split a batch at an odd row, take the
// slow branch. Such a choice must never change a result, only the way to it; a test that fails by it has
// found a defect. The choices are not seeded, so code whose runs must be reproducible from a seed (the
// simulation) takes them from its own random source.
//
// A violation panics with a [Violation]. It means a defect in Tidemill and never bad input, an unreachable
// host or a faulty user function: those are errors. A task's one recover turns the panic into an internal
// error of the job.
//
// CI runs the tests with the tag, with the race detector, and with neither.
package invariant
