package spill

import "os"

// tryLock has nothing to do: a file that is open cannot be removed here, so that a
// sweep leaves a living process's directory in place.
func tryLock(*os.File) error { return nil }
