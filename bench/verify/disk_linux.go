package verify

import (
	"fmt"
	"os"
	"syscall"
)

// smallDisk has a directory lie on a file system of its own, of so many bytes, in
// memory. That needs the rights of root, or a user namespace (cmd/verify makes one).
func smallDisk(dir string, bytes int) (remove func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tidemill-verify", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
		return nil, fmt.Errorf("%w: mount a small file system: %w", errNotShown, err)
	}
	return func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}
