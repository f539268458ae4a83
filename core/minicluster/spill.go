package minicluster

import (
	"errors"
	"fmt"
	"os"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
)

// spill is the directory for data that does not fit memory; it is the cluster's
// alone.
type spill struct {
	path string
	root *os.Root
}

func newSpill(c config.Config) (*spill, error) {
	path, err := os.MkdirTemp(config.SpillDir.Get(c), "tidemill-")
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "make a directory for spilled data (option %s): %w", config.SpillDir.Key(), err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open directory for spilled data: %w", err), os.Remove(path))
	}
	return &spill{path: path, root: root}, nil
}

// remove removes the directory with what is in it.
func (s *spill) remove() error {
	if s == nil {
		return nil
	}
	if err := errors.Join(s.root.Close(), os.RemoveAll(s.path)); err != nil {
		return fmt.Errorf("remove directory for spilled data: %w", err)
	}
	return nil
}
