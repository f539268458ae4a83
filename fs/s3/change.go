package s3

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// maxDelete is how many objects one request deletes, by S3.
const maxDelete = 1000

// Rename implements fs.FileSystem: it copies, then deletes. A directory goes file
// by file; after an error both places may hold some.
func (f *FileSystem) Rename(ctx context.Context, from, to string) error {
	src, err := locateFile(from)
	if err != nil {
		return fail(ctx, "rename", from, err)
	}
	dst, err := locateFile(to)
	if err != nil {
		return fail(ctx, "rename to", to, err)
	}
	info, err := f.stat(ctx, src)
	if err != nil {
		return fail(ctx, "rename", from, err)
	}
	if src.bucket == dst.bucket && src.key == dst.key {
		return nil
	}
	if info.Dir {
		return f.renameDir(ctx, src, dst)
	}
	if dir, err := f.isDir(ctx, dst); err != nil || dir {
		if err == nil {
			err = fs.ErrExist
		}
		return fail(ctx, "rename to", to, err)
	}
	return fail(ctx, "rename", from, f.move(ctx, src, dst, info))
}

func (f *FileSystem) renameDir(ctx context.Context, src, dst location) error {
	if src.bucket == dst.bucket && strings.HasPrefix(dst.key, src.below()) {
		return fail(ctx, "rename", src.path, syscall.EINVAL)
	}
	if _, err := f.stat(ctx, dst); err == nil || !missing(err) {
		if err == nil {
			err = fs.ErrExist
		}
		return fail(ctx, "rename to", dst.path, err)
	}
	err := f.pages(ctx, src.bucket, src.below(), "", func(page *awss3.ListObjectsV2Output) error {
		return f.movePage(ctx, src, dst, page.Contents)
	})
	return fail(ctx, "rename", src.path, err)
}

// movePage moves the objects of one page, several at the same time.
func (f *FileSystem) movePage(ctx context.Context, src, dst location, objects []types.Object) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var tasks sync.WaitGroup
	for _, o := range objects {
		leave, err := f.opts.Ahead.Enter(ctx)
		if err != nil {
			break // the context is done: Cause says why
		}
		rel := strings.TrimPrefix(aws.ToString(o.Key), src.below())
		from, to := src, dst
		from.key, to.key = src.below()+rel, dst.below()+rel
		tasks.Go(func() {
			defer leave()
			if err := f.move(ctx, from, to, fs.Info{Size: aws.ToInt64(o.Size), ETag: aws.ToString(o.ETag)}); err != nil {
				cancel(err)
			}
		})
	}
	tasks.Wait()
	return context.Cause(ctx)
}

func (f *FileSystem) move(ctx context.Context, src, dst location, info fs.Info) error {
	if err := f.copyObject(ctx, src, dst, info); err != nil {
		return err
	}
	return f.delete(ctx, src)
}

func (f *FileSystem) delete(ctx context.Context, at location) error {
	api, err := f.api(ctx)
	if err != nil {
		return err
	}
	_, err = api.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &at.bucket, Key: &at.key})
	if missing(err) { // of servers that tell
		return nil
	}
	return err
}

// Remove implements fs.FileSystem.
func (f *FileSystem) Remove(ctx context.Context, p string) error {
	at, err := locateFile(p)
	if err != nil {
		return fail(ctx, "remove", p, err)
	}
	info, err := f.stat(ctx, at)
	if err == nil && info.Dir {
		err = fs.ErrIsDir
	}
	if err == nil {
		err = f.delete(ctx, at)
	}
	return fail(ctx, "remove", p, err)
}

// RemoveAll implements fs.FileSystem. Unfinished uploads below p end too.
func (f *FileSystem) RemoveAll(ctx context.Context, p string) error {
	at, err := locate(p)
	if err != nil || at.key == "" {
		return fail(ctx, "remove", p, failure.Errorf(failure.Usage, "refusing to remove a whole bucket"))
	}
	if err = f.delete(ctx, at); err == nil {
		err = f.deleteBelow(ctx, at.bucket, at.below())
	}
	if err == nil {
		err = f.abortBelow(ctx, at)
	}
	return fail(ctx, "remove", p, err)
}

// deleteBelow deletes all objects whose keys begin with prefix.
func (f *FileSystem) deleteBelow(ctx context.Context, bucket, prefix string) error {
	return f.pages(ctx, bucket, prefix, "", func(page *awss3.ListObjectsV2Output) error {
		ids := make([]types.ObjectIdentifier, len(page.Contents))
		for i, o := range page.Contents {
			ids[i].Key = o.Key
		}
		for len(ids) > 0 {
			n := min(len(ids), maxDelete)
			if err := f.deleteMany(ctx, bucket, ids[:n]); err != nil {
				return err
			}
			ids = ids[n:]
		}
		return nil
	})
}

func (f *FileSystem) deleteMany(ctx context.Context, bucket string, ids []types.ObjectIdentifier) error {
	api, err := f.api(ctx)
	if err != nil {
		return err
	}
	out, err := api.DeleteObjects(ctx, &awss3.DeleteObjectsInput{
		Bucket: &bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return err
	}
	for _, e := range out.Errors {
		if code := aws.ToString(e.Code); code != "NoSuchKey" {
			a := &answer{code: code, message: fmt.Sprintf("%s: %s", aws.ToString(e.Key), aws.ToString(e.Message))}
			if code == "AccessDenied" {
				a.kind = fs.ErrPermission
			}
			return classifyAnswer(a)
		}
	}
	return nil
}

// abortBelow ends the unfinished uploads of at and of what lies below it.
func (f *FileSystem) abortBelow(ctx context.Context, at location) error {
	api, err := f.api(ctx)
	if err != nil {
		return err
	}
	in := &awss3.ListMultipartUploadsInput{Bucket: &at.bucket, Prefix: &at.key}
	for p := awss3.NewListMultipartUploadsPaginator(api, in); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			key := aws.ToString(u.Key)
			if key != at.key && !strings.HasPrefix(key, at.below()) {
				continue
			}
			if err := f.abortUpload(ctx, location{bucket: at.bucket, key: key}, aws.ToString(u.UploadId)); err != nil {
				return err
			}
		}
	}
	return nil
}
