package storage

import (
	"cmp"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// Open opens where a job with these settings keeps its checkpoints: below
// state.checkpoints.dir; a job that only restores, where it restores from; any
// other in memory, where nothing is ever written. It reads files of all file systems, if
// they are named by URIs.
func Open(r *fs.Registry, job config.Config, mem memory.Allocator) (*Store, fs.FileSystem, error) {
	dir, from := config.CheckpointDir.Get(job), config.RestorePath.Get(job)
	if dir == "" {
		dir = from
	}
	if dir == "" || r == nil {
		nowhere := memfs.New(memfs.Options{})
		return New(nowhere, "/", mem), nowhere, nil
	}
	fsys, inside, err := r.Resolve(dir)
	if err != nil {
		return nil, nil, failure.Wrap(failure.Usage, err)
	}
	s := New(fsys, inside, mem)
	s.scheme, s.others = scheme(dir), r
	homes := cmp.Or(config.TieredDir.Get(job), config.CheckpointDir.Get(job))
	if homes != "" && config.StateBackend.Get(job) == "tiered" {
		s.sorted = true
		if s.homes, s.homesDir, err = r.Resolve(homes); err != nil {
			return nil, nil, failure.Wrap(failure.Usage, err)
		}
	}
	return s, fsys, nil
}

func scheme(uri string) string {
	s, _ := fs.SplitURI(uri)
	if s == "" {
		return fs.DefaultScheme
	}
	return s
}
