//go:build !linux

package partition

import "os"

// punch would give the disk of a range of a file back. Here a file is given back whole, when
// nothing in it is read any more.
func punch(*os.File, int64, int64) bool { return false }
