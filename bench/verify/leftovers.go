package verify

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// belongs are the directories below a role's data that may hold files only while a
// job runs.
var belongs = []string{"spill", "shuffle"}

const (
	leftoversPatience = 15 * time.Second
	leftoversPause    = 100 * time.Millisecond
)

// leftovers waits until no job's files are left in any data directory, and returns
// those that are there still when patience ends.
func (c *cluster) leftovers(ctx context.Context) ([]string, error) {
	deadline := time.Now().Add(leftoversPatience)
	for {
		files, err := jobFiles(filepath.Join(c.dir, "data"))
		if err != nil || len(files) == 0 || time.Now().After(deadline) {
			return files, err
		}
		if err := pause(ctx, leftoversPause); err != nil {
			return files, err
		}
	}
}

// jobFiles lists the files of jobs below roles' data directories: whatever has bytes
// and is no lock.
func jobFiles(data string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(data, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // removed while we look
			}
			return err
		}
		inside, err := filepath.Rel(data, name)
		if err != nil || d.IsDir() {
			return err
		}
		parts := strings.Split(filepath.ToSlash(inside), "/")
		if len(parts) < 3 || !slices.Contains(belongs, parts[1]) || isLock(d.Name()) {
			return nil
		}
		size := int64(-1)
		if info, err := d.Info(); err == nil {
			size = info.Size()
		}
		files = append(files, fmt.Sprintf("%s (%d bytes)", filepath.ToSlash(inside), size))
		return nil
	})
	return files, err
}

func isLock(name string) bool {
	return strings.EqualFold(name, "lock") || strings.HasSuffix(name, ".lock")
}
