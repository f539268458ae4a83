//go:build unix

package spill

import (
	"os"
	"syscall"
)

// tryLock locks f for as long as it is open, or fails at once.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
