//go:build !unix

package process

import "os"

// tryLock has nothing to do where a file that is open cannot be taken away.
func tryLock(*os.File) error { return nil }
