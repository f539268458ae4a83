package storage

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/fs"
)

// Homes is where tasks of a job have their homes (checkpoint.NewHome), each a directory. A
// job whose state is not tiered, or that names no directory, has none.
func (s *Store) Homes(job id.Job) (fs.FileSystem, string, error) {
	if s.homes == nil {
		return nil, "", failure.Errorf(failure.Usage, "tiered state needs a directory: set %s", config.CheckpointDir.Key())
	}
	return s.homes, path.Join(s.homesDir, job.String(), "home"), nil
}

// DropHomes removes all homes of a job that is over. None there is no error.
func (s *Store) DropHomes(ctx context.Context, job id.Job) error {
	if s.homes == nil {
		return nil
	}
	fsys, dir, err := s.Homes(job)
	if err == nil {
		err = fsys.RemoveAll(ctx, dir)
	}
	return err
}

// sweepHomes removes those that workers which are gone have left: opened before the newest of
// the complete checkpoints, and named by none of them.
func (s *Store) sweepHomes(ctx context.Context, job id.Job, keep []*checkpoint.Manifest) error {
	if s.homes == nil {
		return nil
	}
	fsys, dir, err := s.Homes(job)
	if err != nil {
		return err
	}
	named, newest := map[string]bool{}, id.Checkpoint(0)
	for _, m := range keep {
		newest = max(newest, id.Checkpoint(m.GetCheckpoint()))
		for _, v := range m.GetVertices() {
			for _, t := range v.GetSubtasks() {
				for _, h := range t.GetHomes() {
					named[h] = true
				}
			}
		}
	}
	var gone []string
	err = fsys.List(ctx, dir, fs.ListOptions{}, func(i fs.Info) error {
		if c, ok := checkpoint.HomeBegan(i.Name()); ok && c < newest && !named[i.Name()] {
			gone = append(gone, i.Path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sweep homes of state: %w", err)
	}
	for _, home := range gone {
		if err := fsys.RemoveAll(ctx, home); err != nil {
			return fmt.Errorf("sweep homes of state: %w", err)
		}
	}
	return nil
}
