package verify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// damage flips a bit in the middle of each file that keeps rows of a running statement
// below roles' data directories, or cuts off its end, and returns how many there were.
// Files that go away meanwhile do not count.
func damage(data string, cut bool) (n int, err error) {
	err = filepath.WalkDir(data, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		inside, relErr := filepath.Rel(data, name)
		if err != nil || relErr != nil || d.IsDir() {
			return errors.Join(err, relErr)
		}
		parts := strings.Split(filepath.ToSlash(inside), "/")
		if len(parts) < 3 || !slices.Contains(belongs, parts[1]) || isLock(d.Name()) {
			return nil
		}
		hurt, err := damageFile(name, cut)
		if hurt {
			n++
		}
		return err
	})
	return n, err
}

func damageFile(name string, cut bool) (hurt bool, err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false, nil // it is gone
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	if cut {
		return true, f.Truncate(info.Size() - 1)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], info.Size()/2); err != nil {
		return false, err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b[:], info.Size()/2)
	return true, err
}

// namesDamage tells that an error says that stored rows are damaged.
func namesDamage(notes string) bool {
	for _, word := range []string{"checksum", "damaged", "corrupt", "does not hold what its manifest says", "unexpected EOF", "spilled"} {
		if strings.Contains(notes, word) {
			return true
		}
	}
	return false
}
