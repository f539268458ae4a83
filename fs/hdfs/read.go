package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/hdfs/internal/datanode"
	"github.com/tidemill/tidemill/fs/hdfs/internal/namenode"
	"github.com/tidemill/tidemill/fs/readahead"
)

// partBytes is the size of the pieces in which large ranges are read at once.
const partBytes = 8 << 20

// Open implements fs.FileSystem.
func (h *FileSystem) Open(ctx context.Context, p string) (fs.File, error) {
	c, name, err := h.locate(ctx, p)
	if err != nil {
		return nil, wrap("open", p, err)
	}
	st, err := c.stat(ctx, name)
	if err == nil && st.IsDir() {
		err = fs.ErrIsDir
	}
	if err != nil {
		return nil, wrap("open", p, err)
	}
	return newFile(ctx, c, infoOf(p, st), fileID(st)), nil
}

// OpenInfo implements fs.InfoOpener: the ETag holds the file's number.
func (h *FileSystem) OpenInfo(ctx context.Context, info fs.Info) (fs.File, error) {
	number, _, _ := strings.Cut(info.ETag, "-")
	inode, err := strconv.ParseUint(number, 16, 64)
	if err != nil || inode == 0 {
		return h.Open(ctx, info.Path)
	}
	c, _, err := h.locate(ctx, info.Path)
	if err != nil {
		return nil, wrap("open", info.Path, err)
	}
	return newFile(ctx, c, info, inode), nil
}

// file is an open file.
type file struct {
	*readahead.File
	ctx     context.Context // the opener's, which explains errors
	cluster *cluster
	info    fs.Info
	inode   string // the file by its number: the name may come to mean another

	mu     sync.Mutex
	blocks []namenode.Block // nil before the first read

	keyed atomic.Bool // data travels with a key, and guard reads it
	guard *guarded
}

var (
	_ fs.InfoOpener = (*FileSystem)(nil)
	_ fs.Prefetcher = (*file)(nil)
)

func newFile(ctx context.Context, c *cluster, info fs.Info, inode uint64) *file {
	f := &file{ctx: ctx, cluster: c, info: info, inode: fmt.Sprintf("/.reserved/.inodes/%d", inode)}
	f.guard = newGuarded(f)
	f.File = readahead.New(ctx, readahead.Options{Size: info.Size, Fetch: f.fetch, PartBytes: partBytes, Pool: c.s.Ahead})
	return f
}

// Size implements fs.File.
func (f *file) Size() int64 { return f.info.Size }

// Info implements fs.File.
func (f *file) Info() fs.Info { return f.info }

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	switch {
	case err == nil || errors.Is(err, io.EOF) && off+int64(n) >= f.info.Size: // not one of a connection
		return n, err
	case f.ctx.Err() != nil:
		err = f.ctx.Err()
	}
	return n, wrap("read", f.info.Path, err)
}

// Close implements io.Closer.
func (f *file) Close() error {
	return wrap("close", f.info.Path, errors.Join(f.File.Close(), f.guard.close()))
}

// fetch fills p. What fails for the moment at every replica is tried again, with
// the blocks' places asked for anew.
func (f *file) fetch(ctx context.Context, p []byte, off int64) error {
	return f.cluster.retry(ctx, func(again bool) error {
		blocks, err := f.locate(ctx, again)
		for err == nil && len(p) > 0 {
			var n int
			if f.keyed.Load() {
				n, err = f.guard.read(ctx, p, off)
			} else {
				n, err = f.readBlock(ctx, blocks, p, off)
			}
			p, off = p[n:], off+int64(n)
		}
		return err
	})
}

// locate returns the file's blocks, those that are known unless they shall be new.
func (f *file) locate(ctx context.Context, anew bool) ([]namenode.Block, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blocks != nil && !anew {
		return f.blocks, nil
	}
	err := f.cluster.call(ctx, func(cl *client, _ bool) error {
		byName := f.cluster.s.conf.Get("dfs.client.use.datanode.hostname") == "true"
		blocks, size, err := namenode.Locations(cl.Client, f.inode, f.info.Size, byName)
		if missing(err) || err == nil && size < f.info.Size {
			return fs.ErrChanged
		}
		if err == nil {
			f.blocks = blocks
			f.keyed.Store(cl.first != nil)
		}
		return err
	})
	return f.blocks, err
}

// readBlock reads the first bytes of p, as many as are in one block, from the first
// replica that has them. One that fails in the middle is followed by the next.
func (f *file) readBlock(ctx context.Context, blocks []namenode.Block, p []byte, off int64) (int, error) {
	i := sort.Search(len(blocks), func(i int) bool { return blocks[i].Offset+blocks[i].Length > off })
	if i == len(blocks) || blocks[i].Offset > off {
		return 0, failure.Errorf(failure.Transient, "the namenode names no block for byte %d", off)
	}
	b := &blocks[i]
	p = p[:min(int64(len(p)), b.Offset+b.Length-off)]
	n, failed := 0, []error(nil)
	for _, address := range f.cluster.lines.order(b.Nodes) {
		r := datanode.Request{Block: b.ID, Token: b.Token, Client: "tidemill", Offset: off + int64(n) - b.Offset}
		m, err := f.cluster.ask(ctx, address, r, p[n:])
		if n += m; err == nil {
			return n, nil
		}
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		f.cluster.lines.fail(address)
		f.cluster.s.counts.Errors.Add(1)
		failed = append(failed, fmt.Errorf("%s: %w", address, err))
	}
	return n, failure.Wrap(failure.Transient, unreadable(b, failed))
}

// unreadable is the error of a block of which no replica could be read.
func unreadable(b *namenode.Block, failed []error) error {
	what := fmt.Sprintf("block %s (bytes %d to %d)", b.Name, b.Offset, b.Offset+b.Length)
	switch {
	case b.Corrupt:
		return fmt.Errorf("%s: all replicas are corrupt", what)
	case len(failed) == 0:
		return fmt.Errorf("%s: no live datanode has a replica", what)
	}
	return fmt.Errorf("%s: no replica can be read: %w", what, errors.Join(failed...))
}
