package partition

import (
	"os"

	"golang.org/x/sys/unix"
)

// punch gives the disk of a range of a file back, which reads as zeros then. It reports whether
// that could be done.
func punch(f *os.File, from, to int64) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var punched error
	err = raw.Control(func(fd uintptr) {
		punched = unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, to-from)
	})
	return err == nil && punched == nil
}
