package s3

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tidemill/tidemill/fs"
)

// Stat implements fs.FileSystem.
func (f *FileSystem) Stat(ctx context.Context, p string) (fs.Info, error) {
	at, err := locate(p)
	if err != nil {
		return fs.Info{}, fail(ctx, "stat", p, err)
	}
	info, err := f.stat(ctx, at)
	return info, fail(ctx, "stat", p, err)
}

// stat describes an object, or else the directory of that name.
func (f *FileSystem) stat(ctx context.Context, at location) (fs.Info, error) {
	if at.key != "" {
		info, err := f.head(ctx, at)
		if !missing(err) || ctx.Err() != nil {
			return info, err
		}
	}
	dir, err := f.isDir(ctx, at)
	if err == nil && !dir && at.key != "" {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fs.Info{}, err
	}
	return fs.Info{Path: at.path, Dir: true}, nil
}

func (f *FileSystem) head(ctx context.Context, at location) (fs.Info, error) {
	out, err := f.headObject(ctx, at)
	if err != nil {
		return fs.Info{}, err
	}
	return fs.Info{
		Path: at.path, Size: aws.ToInt64(out.ContentLength), ModTime: aws.ToTime(out.LastModified), ETag: aws.ToString(out.ETag),
	}, nil
}

func (f *FileSystem) headObject(ctx context.Context, at location) (*awss3.HeadObjectOutput, error) {
	api, err := f.api(ctx)
	if err != nil {
		return nil, err
	}
	return api.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key})
}

// isDir reports whether something lies below at.
func (f *FileSystem) isDir(ctx context.Context, at location) (bool, error) {
	api, err := f.api(ctx)
	if err != nil {
		return false, err
	}
	out, err := api.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{
		Bucket: &at.bucket, Prefix: aws.String(at.below()), MaxKeys: aws.Int32(1),
	})
	return err == nil && len(out.Contents) > 0, err
}

// List implements fs.FileSystem.
func (f *FileSystem) List(ctx context.Context, dir string, opts fs.ListOptions, visit func(fs.Info) error) error {
	at, err := locate(dir)
	if err != nil {
		return fail(ctx, "list", dir, err)
	}
	l := &lister{fs: f, at: at, opts: opts, visit: visit}
	err = l.run(ctx)
	switch {
	case l.stopped != nil:
		return l.stopped
	case err != nil:
		return fail(ctx, "list", dir, err)
	case l.any || at.key == "":
		return nil
	}
	info, err := f.head(ctx, at)
	if missing(err) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fail(ctx, "list", dir, err)
	}
	return visit(info)
}

// lister is one call of List. The server sorts keys, in which a directory has a
// slash at its end; fs sorts paths. So only a recursive listing, which has no
// directories, can be visited page by page.
type lister struct {
	fs      *FileSystem
	at      location
	opts    fs.ListOptions
	visit   func(fs.Info) error
	any     bool // something is there, be it hidden
	level   []fs.Info
	stopped error // what visit returned
}

func (l *lister) run(ctx context.Context) error {
	delimiter := "/"
	if l.opts.Recursive {
		delimiter = ""
	}
	err := l.fs.pages(ctx, l.at.bucket, l.at.below(), delimiter, func(page *awss3.ListObjectsV2Output) error {
		l.any = l.any || len(page.Contents)+len(page.CommonPrefixes) > 0
		for _, p := range page.CommonPrefixes {
			name := strings.TrimSuffix(strings.TrimPrefix(aws.ToString(p.Prefix), l.at.below()), "/")
			if name != "" && (l.opts.Staged || !fs.Staged(name)) {
				l.level = append(l.level, fs.Info{Path: fs.Join(l.at.path, name), Dir: true})
			}
		}
		for i := range page.Contents {
			if info, ok := l.info(&page.Contents[i]); ok {
				l.level = append(l.level, info)
			}
		}
		if l.opts.Recursive {
			return l.flush(ctx)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(l.level, func(a, b fs.Info) int { return strings.Compare(a.Path, b.Path) })
	// A file and a directory may have the same name; the file is what Stat finds.
	l.level = slices.CompactFunc(l.level, func(a, b fs.Info) bool { return a.Path == b.Path })
	return l.flush(ctx)
}

// info describes an object, and says false if it is not to be visited: staged
// data, and the empty objects that consoles make for directories.
func (l *lister) info(o *types.Object) (fs.Info, bool) {
	rel := strings.TrimPrefix(aws.ToString(o.Key), l.at.below())
	if rel == "" || strings.HasSuffix(rel, "/") || !l.opts.Staged && slices.ContainsFunc(strings.Split(rel, "/"), fs.Staged) {
		return fs.Info{}, false
	}
	return fs.Info{
		Path: fs.Join(l.at.path, rel), Size: aws.ToInt64(o.Size), ModTime: aws.ToTime(o.LastModified), ETag: aws.ToString(o.ETag),
	}, true
}

func (l *lister) flush(ctx context.Context) error {
	for _, info := range l.level {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.stopped = l.visit(info); l.stopped != nil {
			return l.stopped
		}
	}
	l.level = l.level[:0]
	return ctx.Err()
}

// pages calls visit with each page of a listing.
func (f *FileSystem) pages(ctx context.Context, bucket, prefix, delimiter string, visit func(*awss3.ListObjectsV2Output) error) error {
	api, err := f.api(ctx)
	if err != nil {
		return err
	}
	in := &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	for p := awss3.NewListObjectsV2Paginator(api, in); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := visit(page); err != nil {
			return err
		}
	}
	return nil
}
