package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tidemill/tidemill/fs"
)

const (
	// maxCopy is the largest object that one request copies, by S3.
	maxCopy = 5 << 30
	// copyPart is the size of the parts in which larger ones are copied.
	copyPart = 1 << 30
)

// copyObject copies the version of an object that info describes.
func (f *FileSystem) copyObject(ctx context.Context, src, dst location, info fs.Info) error {
	api, err := f.api(ctx)
	if err != nil {
		return err
	}
	if info.Size > maxCopy {
		return f.copyParts(ctx, src, dst, info)
	}
	_, err = api.CopyObject(ctx, &awss3.CopyObjectInput{
		Bucket: &dst.bucket, Key: &dst.key, CopySource: aws.String(src.source()), CopySourceIfMatch: &info.ETag,
	})
	return err
}

// copyParts copies through an upload whose parts are ranges of the source.
func (f *FileSystem) copyParts(ctx context.Context, src, dst location, info fs.Info) error {
	u, err := f.newUpload(ctx, dst)
	if err != nil {
		return err
	}
	if err = u.create(ctx); err == nil {
		err = u.copyFrom(ctx, src, info)
	}
	if err == nil {
		err = u.complete(ctx, false)
	}
	if err != nil {
		return errors.Join(err, u.abort(context.WithoutCancel(ctx)))
	}
	return nil
}

func (u *upload) copyFrom(ctx context.Context, src location, info fs.Info) error {
	api, err := u.fs.api(ctx)
	if err != nil {
		return err
	}
	for off := int64(0); off < info.Size; off += copyPart {
		end, number := min(off+copyPart, info.Size), int32(len(u.parts)+1)
		out, err := api.UploadPartCopy(ctx, &awss3.UploadPartCopyInput{
			Bucket: &u.at.bucket, Key: &u.at.key, UploadId: &u.id, PartNumber: &number,
			CopySource: aws.String(src.source()), CopySourceIfMatch: &info.ETag,
			CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", off, end-1)),
		})
		if err != nil {
			return err
		}
		result := out.CopyPartResult
		if result == nil {
			result = &types.CopyPartResult{}
		}
		u.parts = append(u.parts, part{
			Number: number, Size: end - off, ETag: aws.ToString(result.ETag), CRC: aws.ToString(result.ChecksumCRC32),
		})
	}
	return nil
}

// source is bucket and key as the header of a copy wants them: URL-encoded but
// for slashes.
func (at location) source() string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/"
	var b strings.Builder
	for _, c := range []byte(at.bucket + "/" + at.key) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
