package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/readahead"
)

// Open implements fs.FileSystem.
func (f *FileSystem) Open(ctx context.Context, p string) (fs.File, error) {
	at, err := locateFile(p)
	if err != nil {
		return nil, fail(ctx, "open", p, err)
	}
	var info fs.Info
	var tail []byte
	err = f.patient(ctx, func(ctx context.Context) (err error) {
		info, tail, err = f.open(ctx, at)
		return err
	})
	if missing(err) && ctx.Err() == nil {
		if dir, dirErr := f.isDir(ctx, at); dirErr == nil && dir {
			err = fs.ErrIsDir
		}
	}
	if err != nil {
		return nil, fail(ctx, "open", p, err)
	}
	return f.newFile(ctx, at, info, tail), nil
}

// OpenInfo implements fs.InfoOpener. It asks nobody.
func (f *FileSystem) OpenInfo(ctx context.Context, info fs.Info) (fs.File, error) {
	at, err := locateFile(info.Path)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fail(ctx, "open", info.Path, err)
	}
	return f.newFile(ctx, at, info, nil), nil
}

// open gets the end of the object and what there is to know of it.
func (f *FileSystem) open(ctx context.Context, at location) (info fs.Info, tail []byte, err error) {
	api, err := f.api(ctx)
	if err != nil {
		return info, nil, err
	}
	out, err := api.GetObject(ctx, &awss3.GetObjectInput{
		Bucket: &at.bucket, Key: &at.key, Range: aws.String(fmt.Sprintf("bytes=-%d", readahead.TailBytes)),
	})
	if status(err) == http.StatusRequestedRangeNotSatisfiable { // an empty object has no last bytes
		info, err = f.head(ctx, at)
		return info, nil, err
	}
	if err != nil {
		return info, nil, err
	}
	info = fs.Info{Path: at.path, ModTime: aws.ToTime(out.LastModified), ETag: aws.ToString(out.ETag)}
	n := aws.ToInt64(out.ContentLength)
	if info.Size, err = totalSize(aws.ToString(out.ContentRange), n); err != nil {
		return info, nil, errors.Join(err, out.Body.Close())
	}
	if n > readahead.TailBytes { // the server does not know ranges of last bytes
		n = 0
	}
	tail = make([]byte, n)
	have, err := io.ReadFull(out.Body, tail)
	_ = out.Body.Close() // all that was wanted is read, or is asked for again
	if have == len(tail) {
		return info, tail, nil
	}
	if ctx.Err() != nil {
		return info, nil, err
	}
	f.counts.Retries.Add(1)
	rest, err := f.fetchOnce(ctx, at, info.ETag, tail[have:], info.Size-n+int64(have))
	if have+rest == len(tail) {
		err = nil
	}
	return info, tail, err
}

// totalSize is the number behind the slash of "bytes 90-99/100", which has to say
// that the last length bytes came; without a range the answer is the whole object.
func totalSize(contentRange string, length int64) (int64, error) {
	if contentRange == "" {
		return length, nil
	}
	_, total, _ := strings.Cut(contentRange, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if err != nil || contentRange != fmt.Sprintf("bytes %d-%d/%d", n-length, n-1, n) {
		return 0, fmt.Errorf("the server sent the content range %q for the last %d bytes", contentRange, length)
	}
	return n, nil
}

// fetch fills p with the bytes at off. A body that breaks off is continued.
func (f *FileSystem) fetch(ctx context.Context, at location, etag string, p []byte, off int64) error {
	return f.patient(ctx, func(ctx context.Context) error {
		n, err := f.fetchOnce(ctx, at, etag, p, off)
		p, off = p[n:], off+int64(n)
		if len(p) == 0 {
			return nil
		}
		return err
	})
}

// patient runs once with a time limit, and again while an answer breaks off or does
// not come in time; what else may be tried again the SDK has tried.
func (f *FileSystem) patient(ctx context.Context, once func(ctx context.Context) error) error {
	for attempt := 1; ; attempt++ {
		limited, cancel := context.WithTimeout(ctx, f.opts.Limit)
		err := once(limited)
		late := limited.Err() != nil
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil, !late && !errors.Is(err, io.ErrUnexpectedEOF):
			return err
		case attempt >= f.opts.Attempts && late:
			return fmt.Errorf("no answer within %v, tried %d times: %w", f.opts.Limit, attempt, err)
		case attempt >= f.opts.Attempts:
			return err
		}
		if err := f.pause(ctx, attempt); err != nil {
			return err
		}
		f.counts.Retries.Add(1)
	}
}

// fetchOnce returns how much it got, also when it got an error.
func (f *FileSystem) fetchOnce(ctx context.Context, at location, etag string, p []byte, off int64) (int, error) {
	api, err := f.api(ctx)
	if err != nil {
		return 0, err
	}
	in := &awss3.GetObjectInput{
		Bucket: &at.bucket, Key: &at.key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)),
	}
	if etag != "" {
		in.IfMatch = &etag
	}
	out, err := api.GetObject(ctx, in)
	if s := status(err); s == http.StatusPreconditionFailed || s == http.StatusRequestedRangeNotSatisfiable || s == http.StatusNotFound {
		return 0, fs.ErrChanged
	}
	if err != nil {
		return 0, err
	}
	defer out.Body.Close()
	switch got := aws.ToString(out.ContentRange); {
	case off > 0 && got == "":
		return 0, errors.New("the server does not know range requests")
	case got != "" && !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", off)):
		return 0, fmt.Errorf("the server sent the content range %q for %q", got, *in.Range)
	}
	n, err := io.ReadFull(out.Body, p)
	if errors.Is(err, io.EOF) { // of the connection: for readers of files it would be the file's
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, fmt.Errorf("%w after %d of %d bytes: %w", io.ErrUnexpectedEOF, n, len(p), err)
	}
	return n, nil
}

// file is an open object.
type file struct {
	*readahead.File
	at   location
	info fs.Info
	ctx  context.Context // the opener's, which explains errors
}

// newFile returns the object of which info tells the size and version; tail are
// its last bytes where they are known.
func (f *FileSystem) newFile(ctx context.Context, at location, info fs.Info, tail []byte) *file {
	return &file{at: at, info: info, ctx: ctx, File: readahead.New(ctx, readahead.Options{
		Size: info.Size, Tail: tail, PartBytes: f.opts.PartBytes, Pool: f.opts.Ahead,
		Fetch: func(ctx context.Context, p []byte, off int64) error { return f.fetch(ctx, at, info.ETag, p, off) },
	})}
}

// Size implements fs.File.
func (o *file) Size() int64 { return o.info.Size }

// Info implements fs.File.
func (o *file) Info() fs.Info { return o.info }

// ReadAt implements fs.File.
func (o *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.File.ReadAt(p, off)
	if err == nil || errors.Is(err, io.EOF) && off+int64(n) >= o.info.Size { // not one of a connection
		return n, err
	}
	return n, fail(o.ctx, "read", o.at.path, err)
}

// Close implements fs.File.
func (o *file) Close() error { return fs.Wrap("close", o.at.path, o.File.Close()) }
