package hdfs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"path"
	"strings"
	"sync"

	"github.com/colinmarc/hdfs/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/hdfs/internal/namenode"
)

// maxClusters is the most HDFS clusters that one process talks to.
const maxClusters = 64

// FileSystem is every HDFS that can be reached from here; it implements
// fs.FileSystem and fs.Recoverer. A path is HOST[:PORT]/NAME or NAMESERVICE/NAME,
// and /NAME is in the cluster of fs.defaultFS.
type FileSystem struct {
	options Options
	counts  fs.Counters

	mu       sync.Mutex
	settings *settings // nil until the first use
	clusters map[string]*cluster
	closed   bool
}

var (
	_ fs.FileSystem = (*FileSystem)(nil)
	_ fs.Recoverer  = (*FileSystem)(nil)
	_ fs.Meter      = (*FileSystem)(nil)
)

// New returns the file system. Nothing is read or connected before the first use
// of a path, so that it costs nothing where there is no HDFS.
func New(o Options) *FileSystem {
	return &FileSystem{options: o, clusters: map[string]*cluster{}}
}

// Close ends all connections; what is open fails from then on.
func (h *FileSystem) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	var errs []error
	for _, c := range h.clusters {
		errs = append(errs, c.close())
	}
	if h.settings != nil {
		h.settings.login.close()
	}
	return errors.Join(errs...)
}

// Stats implements fs.Meter. A call of the library may be several to the namenode
// and counts once.
func (h *FileSystem) Stats() fs.Stats { return h.counts.Stats() }

// locate parts a path into its cluster and the name there, which is clean and
// absolute.
func (h *FileSystem) locate(ctx context.Context, p string) (*cluster, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	authority, name, _ := strings.Cut(p, "/")
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.cluster(authority)
	return c, path.Clean("/" + name), err
}

// cluster returns the cluster of an authority. The caller holds mu.
func (h *FileSystem) cluster(authority string) (*cluster, error) {
	if h.closed {
		return nil, fs.ErrClosed
	}
	if h.settings == nil {
		s, err := h.options.complete()
		if err != nil {
			return nil, err
		}
		s.counts = &h.counts
		h.settings = &s
	}
	if authority == "" {
		var err error
		if authority, err = h.settings.conf.Default(); err != nil {
			return nil, failure.Wrap(failure.Usage, err)
		}
	}
	if c, ok := h.clusters[authority]; ok {
		return c, nil
	}
	addresses, err := h.settings.conf.Namenodes(authority)
	if err == nil && len(h.clusters) == maxClusters {
		err = fmt.Errorf("more than %d hdfs clusters", maxClusters)
	}
	if err != nil {
		return nil, failure.Wrap(failure.Usage, err)
	}
	c := &cluster{s: *h.settings, addresses: addresses, dial: make(chan struct{}, 1)}
	h.clusters[authority] = c
	return c, nil
}

// Stat implements fs.FileSystem.
func (h *FileSystem) Stat(ctx context.Context, p string) (fs.Info, error) {
	c, name, err := h.locate(ctx, p)
	if err != nil {
		return fs.Info{}, wrap("stat", p, err)
	}
	st, err := c.stat(ctx, name)
	if err != nil {
		return fs.Info{}, wrap("stat", p, err)
	}
	return infoOf(p, st), nil
}

func (c *cluster) stat(ctx context.Context, name string) (st iofs.FileInfo, err error) {
	err = c.call(ctx, func(cl *client, _ bool) error {
		st, err = cl.Stat(name)
		return err
	})
	return st, err
}

// fileID is the namenode's number for a file, which a rename does not change.
func fileID(st iofs.FileInfo) uint64 {
	status, ok := st.Sys().(*hdfs.FileStatus)
	if !ok {
		return 0
	}
	return status.GetFileId()
}

func infoOf(p string, st iofs.FileInfo) fs.Info {
	info := fs.Info{Path: p, ModTime: st.ModTime(), Dir: st.IsDir()}
	if info.Dir {
		return info
	}
	info.Size = st.Size()
	info.ETag = fmt.Sprintf("%x-%x-%x", fileID(st), st.ModTime().UnixMilli(), st.Size())
	return info
}

// Rename implements fs.FileSystem.
func (h *FileSystem) Rename(ctx context.Context, from, to string) error {
	c, source, err := h.locate(ctx, from)
	if err != nil {
		return wrap("rename", from, err)
	}
	other, target, err := h.locate(ctx, to)
	if err == nil && other != c {
		err = errors.New("in another cluster")
	}
	if err != nil {
		return wrap("rename to", to, err)
	}
	st, err := c.stat(ctx, source)
	if err != nil || source == target {
		return wrap("rename", from, err)
	}
	there, err := c.stat(ctx, target)
	if err == nil && (st.IsDir() || there.IsDir()) {
		return wrap("rename to", to, fs.ErrExist)
	}
	if err == nil || missing(err) {
		err = c.makeDir(ctx, path.Dir(target))
	}
	if err != nil {
		return wrap("rename to", to, err)
	}
	return wrap("rename", from, c.rename(ctx, st, source, target, !st.IsDir()))
}

// rename moves what st describes; without replace, only to a name that is free.
// A try whose answer was lost may have moved it already.
func (c *cluster) rename(ctx context.Context, st iofs.FileInfo, from, to string, replace bool) error {
	return c.call(ctx, func(cl *client, again bool) error {
		var err error
		if replace {
			err = cl.Rename(from, to)
		} else {
			err = namenode.Rename(cl.Client, from, to)
		}
		if err == nil || !again || broken(err) {
			return err
		}
		if there, statErr := cl.Stat(to); statErr == nil && fileID(there) == fileID(st) {
			return nil
		}
		return err
	})
}

func missing(err error) bool { return errors.Is(translate(err), fs.ErrNotExist) }

func (c *cluster) makeDir(ctx context.Context, dir string) error {
	return c.call(ctx, func(cl *client, _ bool) error {
		err := cl.MkdirAll(dir, 0o755)
		if name, _ := exception(err); name == "ParentNotDirectoryException" {
			return fmt.Errorf("%s: part of the path is a file", dir)
		}
		return err
	})
}

// Remove implements fs.FileSystem.
func (h *FileSystem) Remove(ctx context.Context, p string) error {
	c, name, err := h.locate(ctx, p)
	if err != nil {
		return wrap("remove", p, err)
	}
	return wrap("remove", p, c.call(ctx, func(cl *client, again bool) error {
		st, err := cl.Stat(name)
		switch {
		case err == nil && st.IsDir():
			return fs.ErrIsDir
		case err == nil:
			err = cl.Client.Remove(name)
		}
		if again && missing(err) {
			return nil // by the try whose answer was lost
		}
		return err
	}))
}

// RemoveAll implements fs.FileSystem.
func (h *FileSystem) RemoveAll(ctx context.Context, p string) error {
	c, name, err := h.locate(ctx, p)
	if err == nil && name == "/" {
		err = errors.New("refusing to remove the root")
	}
	if err != nil {
		return wrap("remove", p, err)
	}
	return wrap("remove", p, c.removeAll(ctx, name))
}

func (c *cluster) removeAll(ctx context.Context, name string) error {
	return c.call(ctx, func(cl *client, _ bool) error {
		if err := cl.Client.RemoveAll(name); !missing(err) {
			return err
		}
		return nil
	})
}
