package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// Open implements fs.FileSystem.
func (f *FileSystem) Open(ctx context.Context, p string) (fs.File, error) {
	at, err := locateFile(p)
	if err != nil {
		return nil, fail(ctx, "open", p, err)
	}
	o := &file{fs: f, at: at, last: -1}
	err = f.open(ctx, o)
	if missing(err) && ctx.Err() == nil {
		if dir, dirErr := f.isDir(ctx, at); dirErr == nil && dir {
			err = fs.ErrIsDir
		}
	}
	if err != nil {
		return nil, fail(ctx, "open", p, err)
	}
	o.ctx, o.cancel = context.WithCancel(ctx)
	return o, nil
}

// open gets the end of the object and what there is to know of it.
func (f *FileSystem) open(ctx context.Context, o *file) error {
	api, err := f.api(ctx)
	if err != nil {
		return err
	}
	out, err := api.GetObject(ctx, &awss3.GetObjectInput{
		Bucket: &o.at.bucket, Key: &o.at.key, Range: aws.String(fmt.Sprintf("bytes=-%d", tailBytes)),
	})
	if status(err) == http.StatusRequestedRangeNotSatisfiable { // an empty object has no last bytes
		o.info, err = f.head(ctx, o.at)
		return err
	}
	if err != nil {
		return err
	}
	o.info = fs.Info{Path: o.at.path, ModTime: aws.ToTime(out.LastModified), ETag: aws.ToString(out.ETag)}
	n := aws.ToInt64(out.ContentLength)
	if o.info.Size, err = totalSize(aws.ToString(out.ContentRange), n); err != nil {
		return errors.Join(err, out.Body.Close())
	}
	if n > tailBytes { // the server does not know ranges of last bytes
		n = 0
	}
	o.tailAt, o.tail = o.info.Size-n, make([]byte, n)
	have, err := io.ReadFull(out.Body, o.tail)
	_ = out.Body.Close() // all that was wanted is read, or is asked for again
	if have == len(o.tail) {
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	f.counts.Retries.Add(1)
	return f.fetch(ctx, o, o.tail[have:], o.tailAt+int64(have))
}

// totalSize is the number behind the slash of "bytes 0-9/100"; without a range
// the answer is the whole object.
func totalSize(contentRange string, length int64) (int64, error) {
	if contentRange == "" {
		return length, nil
	}
	_, total, _ := strings.Cut(contentRange, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if err != nil || n < length {
		return 0, fmt.Errorf("the server sent the content range %q for %d bytes", contentRange, length)
	}
	return n, nil
}

// fetch fills p with the bytes at off. A body that breaks off is continued.
func (f *FileSystem) fetch(ctx context.Context, o *file, p []byte, off int64) error {
	leave, err := f.transfer(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for attempt := 1; ; attempt++ {
		n, err := f.fetchOnce(ctx, o, p, off)
		p, off = p[n:], off+int64(n)
		if err == nil || len(p) == 0 {
			return nil
		}
		if status(err) != 0 || !network(err) || attempt >= f.opts.Attempts || ctx.Err() != nil {
			return err
		}
		if err := f.pause(ctx, attempt); err != nil {
			return err
		}
		f.counts.Retries.Add(1)
	}
}

// fetchOnce returns how much it got, also when it got an error. A server that
// sends nothing for long is given up.
func (f *FileSystem) fetchOnce(ctx context.Context, o *file, p []byte, off int64) (int, error) {
	api, err := f.api(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(len(p))*time.Microsecond)
	defer cancel()
	in := &awss3.GetObjectInput{
		Bucket: &o.at.bucket, Key: &o.at.key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)),
	}
	if o.info.ETag != "" {
		in.IfMatch = &o.info.ETag
	}
	out, err := api.GetObject(ctx, in)
	if s := status(err); s == http.StatusPreconditionFailed || s == http.StatusRequestedRangeNotSatisfiable || s == http.StatusNotFound {
		return 0, failure.Wrap(failure.Conflict, errChanged)
	}
	if err != nil {
		return 0, err
	}
	defer out.Body.Close()
	if off > 0 && aws.ToString(out.ContentRange) == "" {
		return 0, errors.New("the server does not know range requests")
	}
	n, err := io.ReadFull(out.Body, p)
	if err != nil {
		return n, fmt.Errorf("%w after %d of %d bytes: %w", io.ErrUnexpectedEOF, n, len(p), err)
	}
	return n, nil
}

// file is an open object.
type file struct {
	fs     *FileSystem
	at     location
	info   fs.Info
	tail   []byte // the bytes from tailAt to the end; immutable
	tailAt int64
	ctx    context.Context // the opener's: fs.File says that it bounds reads
	cancel context.CancelFunc
	tasks  sync.WaitGroup // fetches of blocks

	mu     sync.Mutex
	closed bool
	blocks []*block // not used up yet
	held   int64    // bytes of blocks
	last   int64    // where the last read ended
}

// Size implements fs.File.
func (o *file) Size() int64 { return o.info.Size }

// Info implements fs.File.
func (o *file) Info() fs.Info { return o.info }

// ReadAt implements fs.File.
func (o *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.Wrap("read", o.at.path, errors.New("negative offset"))
	}
	if err := o.alive(); err != nil {
		return 0, fs.Wrap("read", o.at.path, err)
	}
	var end error
	if rest := max(o.info.Size-off, 0); int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	done := 0
	for done < len(p) {
		n, err := o.some(p[done:], off+int64(done))
		done += n
		if err != nil {
			if errors.Is(o.alive(), fs.ErrClosed) {
				err = fs.ErrClosed
			}
			return done, fail(o.ctx, "read", o.at.path, err)
		}
	}
	return done, end
}

func (o *file) alive() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return fs.ErrClosed
	}
	return o.ctx.Err()
}

// some reads the first bytes of p, as many as lie in one place.
func (o *file) some(p []byte, off int64) (int, error) {
	if off >= o.tailAt {
		return copy(p, o.tail[off-o.tailAt:]), nil
	}
	b, end := o.find(off, int64(len(p)))
	if b == nil {
		p = p[:end-off]
		return len(p), o.direct(p, off)
	}
	select {
	case <-b.done:
	case <-o.ctx.Done():
		return 0, o.ctx.Err()
	}
	if b.err != nil {
		o.drop(b)
		return 0, b.err
	}
	n := copy(p, b.data[off-b.off:])
	if off+int64(n) == b.end {
		o.drop(b)
	}
	return n, nil
}

// direct fetches without a block, a large range as several at the same time.
func (o *file) direct(p []byte, off int64) error {
	part := int(o.fs.opts.PartBytes)
	if len(p) <= 2*part {
		return o.fs.fetch(o.ctx, o, p, off)
	}
	var wg sync.WaitGroup
	errs := make([]error, (len(p)+part-1)/part)
	for i := range errs {
		wg.Go(func() {
			from := i * part
			errs[i] = o.fs.fetch(o.ctx, o, p[from:min(from+part, len(p))], off+int64(from))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close implements fs.File.
func (o *file) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return fs.Wrap("close", o.at.path, fs.ErrClosed)
	}
	o.closed = true
	held := o.held
	o.blocks, o.held = nil, 0
	o.mu.Unlock()
	o.cancel()
	o.tasks.Wait()
	o.fs.unreserve(held)
	return nil
}
