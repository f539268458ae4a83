//go:build unix

package process

import (
	"os"
	"syscall"
)

// tryLock takes a lock that ends with the process.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
