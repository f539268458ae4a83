//go:build invariants

package invariant

import "math/rand/v2"

// Enabled tells whether the costly checks are compiled in.
const Enabled = true

// Sometimes is true in about percent of 100 calls under the build tag `invariants`, and never without it.
// Concurrent calls are safe.
func Sometimes(percent int) bool { return rand.IntN(100) < percent }
