//go:build !invariants

package invariant

// Enabled tells whether the costly checks are compiled in.
const Enabled = false

// Sometimes is true in about percent of 100 calls under the build tag `invariants`, and never without it.
// Concurrent calls are safe.
func Sometimes(percent int) bool { return false }
