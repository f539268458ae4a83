package s3

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tidemill/tidemill/fs"
)

// CreateRecoverable implements fs.Recoverer. It asks the server nothing.
func (f *FileSystem) CreateRecoverable(ctx context.Context, p string) (fs.RecoverableWriter, error) {
	at, err := locateFile(p)
	if err != nil {
		return nil, fail(ctx, "create", p, err)
	}
	u, err := f.newUpload(ctx, at)
	if err != nil {
		return nil, fail(ctx, "create", p, err)
	}
	return &recoverable{tail: tail{up: u}}, nil
}

// Resume implements fs.Recoverer.
func (f *FileSystem) Resume(ctx context.Context, b []byte) (fs.RecoverableWriter, error) {
	t, err := openToken(ctx, b, kindResume)
	if err != nil {
		return nil, fail(ctx, "resume", t.Path, err)
	}
	u, err := f.uploadOf(ctx, t)
	if err != nil {
		return nil, fail(ctx, "resume", t.Path, err)
	}
	w := &recoverable{tail: tail{up: u}, tails: t.Tails}
	if err = u.rewind(ctx); err == nil {
		w.data, err = f.readTail(ctx, u.at, t)
	}
	if err != nil {
		u.cancel()
		return nil, fail(ctx, "resume", t.Path, err)
	}
	return w, nil
}

// openToken reads a token unless the context is done.
func openToken(ctx context.Context, b []byte, kind byte) (token, error) {
	if err := ctx.Err(); err != nil {
		return token{}, err
	}
	return decodeToken(b, kind)
}

// uploadOf is the upload as it was when the token was made.
func (f *FileSystem) uploadOf(ctx context.Context, t token) (*upload, error) {
	at, err := locateFile(t.Path)
	if err != nil {
		return nil, err
	}
	u, err := f.newUpload(ctx, at)
	if err != nil {
		return nil, err
	}
	u.write, u.id, u.parts, u.next = t.Write, t.Upload, t.Parts, int32(len(t.Parts)+1)
	return u, nil
}

// rewind checks that the parts are still those of the token and spoils the ones
// after them: a token of Seal that counts on those must not be published.
func (u *upload) rewind(ctx context.Context) error {
	api, err := u.fs.api(ctx)
	if err != nil {
		return err
	}
	have := 0
	in := &awss3.ListPartsInput{Bucket: &u.at.bucket, Key: &u.at.key, UploadId: &u.id}
	for p := awss3.NewListPartsPaginator(api, in); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, there := range page.Parts {
			number := aws.ToInt32(there.PartNumber)
			if number >= u.next {
				if _, err := u.sendPart(ctx, number, []byte(rand.Text())); err != nil {
					return err
				}
				continue
			}
			if u.parts[have].Number != number || u.parts[have].ETag != aws.ToString(there.ETag) {
				return fmt.Errorf("part %d was replaced: %w", number, fs.ErrNotExist)
			}
			have++
		}
	}
	if have != len(u.parts) {
		return fmt.Errorf("%d of %d parts are there: %w", have, len(u.parts), fs.ErrNotExist)
	}
	return nil
}

// tailOf is the object that holds the bytes after the last part.
func tailOf(at location, write, name string) location { return at.sibling(write + "/" + name) }

func (f *FileSystem) readTail(ctx context.Context, at location, t token) ([]byte, error) {
	if t.Tail == "" {
		return nil, nil
	}
	at = tailOf(at, t.Write, t.Tail)
	at.path = at.bucket + "/" + at.key
	return fs.ReadFile(ctx, f, at.path, f.opts.PartBytes)
}

// Publish implements fs.Recoverer.
func (f *FileSystem) Publish(ctx context.Context, b []byte) error {
	t, err := openToken(ctx, b, kindPublish)
	if err != nil {
		return fail(ctx, "publish", t.Path, err)
	}
	u, err := f.uploadOf(ctx, t)
	if err != nil {
		return fail(ctx, "publish", t.Path, err)
	}
	defer u.cancel()
	if err = u.complete(ctx, false); err == nil {
		err = f.removeTails(ctx, u, t.Tails)
	}
	return fail(ctx, "publish", t.Path, err)
}

// Discard implements fs.Recoverer.
func (f *FileSystem) Discard(ctx context.Context, b []byte) error {
	t, err := openToken(ctx, b, kindInvalid)
	if err != nil {
		return fail(ctx, "discard", t.Path, err)
	}
	u, err := f.uploadOf(ctx, t)
	if err == nil {
		if err = u.abort(ctx); err == nil {
			err = f.removeTails(ctx, u, t.Tails)
		}
	}
	return fail(ctx, "discard", t.Path, err)
}

func (f *FileSystem) removeTails(ctx context.Context, u *upload, any bool) error {
	if !any {
		return nil
	}
	at := tailOf(u.at, u.write, "")
	return f.deleteBelow(ctx, at.bucket, at.key)
}

// recoverable writes a file that survives the process.
type recoverable struct {
	tail
	tails   bool // objects of tails have been written
	sealed  bool
	aborted bool
}

var _ fs.RecoverableWriter = (*recoverable)(nil)

// Persist implements fs.RecoverableWriter.
func (w *recoverable) Persist(ctx context.Context) ([]byte, error) {
	if w.done {
		return nil, fs.Wrap("persist", w.up.at.path, fs.ErrClosed)
	}
	if w.err != nil {
		return nil, w.err
	}
	name, err := w.persist(ctx)
	if err != nil {
		w.err = fail(ctx, "persist", w.up.at.path, err)
		return nil, w.err
	}
	return w.token(kindResume, name)
}

// persist returns the name of the object that holds the bytes after the parts.
func (w *recoverable) persist(ctx context.Context) (string, error) {
	if err := w.up.create(ctx); err != nil {
		return "", err
	}
	name := ""
	switch {
	case len(w.data) >= minPartBytes:
		if err := w.send(); err != nil {
			return "", err
		}
	case len(w.data) > 0:
		name = rand.Text()
		u := &upload{fs: w.up.fs, at: tailOf(w.up.at, w.up.write, name), write: w.up.write}
		w.tails = true
		if err := u.put(ctx, w.data, false); err != nil {
			return "", err
		}
	}
	return name, w.up.wait(ctx)
}

func (w *recoverable) token(kind byte, name string) ([]byte, error) {
	t := token{Path: w.up.at.path, Write: w.up.write, Upload: w.up.id, Parts: slices.Clone(w.up.parts), Tail: name, Tails: w.tails}
	b, err := t.encode(kind)
	return b, fs.Wrap("persist", w.up.at.path, err)
}

// Seal implements fs.RecoverableWriter.
func (w *recoverable) Seal(ctx context.Context) ([]byte, error) {
	if w.done {
		return nil, fs.Wrap("seal", w.up.at.path, fs.ErrClosed)
	}
	if w.err != nil {
		return nil, w.err
	}
	if err := w.seal(ctx); err != nil {
		w.err = fail(ctx, "seal", w.up.at.path, err)
		return nil, w.err
	}
	w.done, w.sealed, w.data = true, true, nil
	w.up.cancel()
	return w.token(kindPublish, "")
}

func (w *recoverable) seal(ctx context.Context) error {
	if err := w.up.create(ctx); err != nil {
		return err
	}
	if len(w.data) > 0 || w.up.next == 1 { // an upload has at least one part
		if err := w.send(); err != nil {
			return err
		}
	}
	return w.up.wait(ctx)
}

// Abort implements fs.RecoverableWriter.
func (w *recoverable) Abort(ctx context.Context) error {
	if w.sealed || w.aborted {
		return nil
	}
	w.done, w.data = true, nil
	err := w.up.abort(ctx)
	if err == nil {
		err = w.up.fs.removeTails(ctx, w.up, w.tails)
	}
	w.aborted = err == nil
	return fail(ctx, "abort", w.up.at.path, err)
}
