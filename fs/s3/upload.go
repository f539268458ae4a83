package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// writeKey is the metadata that holds the name of the write that made an object.
const writeKey = "tidemill-write"

// maxPartsInFlight is how many parts of one file are on their way: the memory of a
// writer is one part more.
const maxPartsInFlight = 4

// part is an uploaded part. It is in tokens.
type part struct {
	Number int32
	Size   int64
	ETag   string
	CRC    string `json:",omitempty"` // base64, as the server has it
}

// upload is a file on its way: first only a name, from create on a multipart
// upload. One goroutine calls its methods.
type upload struct {
	fs    *FileSystem
	at    location
	write string // names this write, in the object's metadata
	id    string // empty before create
	next  int32  // number of the next part

	ctx    context.Context // of the requests for parts; ends with abort
	cancel context.CancelFunc
	flight chan struct{}
	tasks  sync.WaitGroup

	mu    sync.Mutex
	parts []part
	err   error // the first part that could not be uploaded
}

func (f *FileSystem) newUpload(ctx context.Context, at location) (*upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u := &upload{fs: f, at: at, write: rand.Text(), next: 1, flight: make(chan struct{}, maxPartsInFlight)}
	u.ctx, u.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return u, nil
}

// partBytes is the size of a part: it doubles every thousand parts, so that the
// largest object that S3 takes has few enough of them.
func (u *upload) partBytes() int { return int(u.fs.opts.PartBytes << ((u.next - 1) / 1000)) }

func (u *upload) metadata() map[string]string { return map[string]string{writeKey: u.write} }

// create begins the multipart upload, unless that is done.
func (u *upload) create(ctx context.Context) error {
	if u.id != "" {
		return nil
	}
	api, err := u.fs.api(ctx)
	if err != nil {
		return err
	}
	out, err := api.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
		Bucket: &u.at.bucket, Key: &u.at.key, Metadata: u.metadata(), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err == nil {
		u.id = aws.ToString(out.UploadId)
	}
	return err
}

// send uploads data as the next part; it waits only while too many are under way.
// It owns data from now on.
func (u *upload) send(data []byte) error {
	if err := u.create(u.ctx); err != nil {
		return err
	}
	if u.next > maxParts {
		return failure.Errorf(failure.Fatal, "more than %d parts", maxParts)
	}
	select {
	case u.flight <- struct{}{}:
	case <-u.ctx.Done():
		return u.ctx.Err()
	}
	if err := u.failed(); err != nil {
		<-u.flight
		return err
	}
	number := u.next
	u.next++
	u.tasks.Go(func() {
		defer func() { <-u.flight }()
		p, err := u.sendPart(u.ctx, number, data)
		u.fs.recycle(data)
		u.mu.Lock()
		defer u.mu.Unlock()
		if err != nil && u.err == nil {
			u.err = err
		}
		u.parts = append(u.parts, p)
	})
	return nil
}

func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

func (u *upload) sendPart(ctx context.Context, number int32, data []byte) (part, error) {
	leave, err := u.fs.opts.Ahead.Enter(ctx)
	if err != nil {
		return part{}, err
	}
	defer leave()
	api, err := u.fs.api(ctx)
	if err != nil {
		return part{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(u.fs.opts.Attempts)*2*time.Minute)
	defer cancel()
	out, err := api.UploadPart(ctx, &awss3.UploadPartInput{
		Bucket: &u.at.bucket, Key: &u.at.key, UploadId: &u.id, PartNumber: &number,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return part{}, err
	}
	return part{Number: number, Size: int64(len(data)), ETag: aws.ToString(out.ETag), CRC: aws.ToString(out.ChecksumCRC32)}, nil
}

// wait returns when no part is under way any more. A context that ends first
// ends the parts: the file cannot be completed then.
func (u *upload) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, u.cancel)
	u.tasks.Wait()
	stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := u.failed(); err != nil {
		return err
	}
	slices.SortFunc(u.parts, func(a, b part) int { return int(a.Number - b.Number) })
	return nil
}

// put makes the object in one request, without parts.
func (u *upload) put(ctx context.Context, data []byte, ifNotExists bool) error {
	api, err := u.fs.api(ctx)
	if err != nil {
		return err
	}
	in := &awss3.PutObjectInput{
		Bucket: &u.at.bucket, Key: &u.at.key, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
		Metadata: u.metadata(), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	}
	if ifNotExists {
		in.IfNoneMatch = aws.String("*")
	}
	_, err = api.PutObject(ctx, in)
	return u.settle(ctx, err)
}

// complete makes the object of all parts sent.
func (u *upload) complete(ctx context.Context, ifNotExists bool) error {
	api, err := u.fs.api(ctx)
	if err != nil {
		return err
	}
	done := make([]types.CompletedPart, len(u.parts))
	for i, p := range u.parts {
		done[i] = types.CompletedPart{PartNumber: aws.Int32(p.Number), ETag: aws.String(p.ETag)}
		if p.CRC != "" {
			done[i].ChecksumCRC32 = aws.String(p.CRC)
		}
	}
	in := &awss3.CompleteMultipartUploadInput{
		Bucket: &u.at.bucket, Key: &u.at.key, UploadId: &u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	}
	if ifNotExists {
		in.IfNoneMatch = aws.String("*")
	}
	_, err = api.CompleteMultipartUpload(ctx, in)
	return u.settle(ctx, err)
}

// settle finds out what an error of put or complete means: when the reply to an
// earlier try was lost, the object is there and carries this write's name.
func (u *upload) settle(ctx context.Context, err error) error {
	if err == nil || !refused(err) && !missing(err) {
		return err
	}
	out, headErr := u.fs.headObject(ctx, u.at)
	switch {
	case headErr == nil && out.Metadata[writeKey] == u.write:
		return nil
	case headErr == nil && refused(err), missing(headErr) && status(err) == http.StatusPreconditionFailed:
		return fs.ErrExist // or there was something, which is gone or cannot be seen yet
	case headErr != nil && !missing(headErr):
		return errors.Join(err, headErr)
	}
	return err
}

// abort ends the requests for parts and drops what was uploaded.
func (u *upload) abort(ctx context.Context) error {
	u.cancel()
	u.tasks.Wait()
	if u.id == "" {
		return nil
	}
	return u.fs.abortUpload(ctx, u.at, u.id)
}

func (f *FileSystem) abortUpload(ctx context.Context, at location, id string) error {
	api, err := f.api(ctx)
	if err != nil {
		return err
	}
	_, err = api.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: &at.bucket, Key: &at.key, UploadId: &id})
	if missing(err) {
		return nil
	}
	return err
}

// recycle keeps the memory of a part for the next one.
func (f *FileSystem) recycle(data []byte) {
	if int64(cap(data)) != f.opts.PartBytes {
		return
	}
	select {
	case f.buffers <- data[:0]:
	default:
	}
}

// buffer returns memory for a part; small files do not need a whole one.
func (f *FileSystem) buffer(first bool) []byte {
	if first {
		return nil
	}
	select {
	case b := <-f.buffers:
		return b
	default:
		return make([]byte, 0, f.opts.PartBytes)
	}
}
