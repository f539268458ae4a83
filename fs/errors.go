package fs

import (
	"errors"
	iofs "io/fs"

	"github.com/tidemill/tidemill/core/failure"
)

// The errors that callers tell apart with errors.Is. They are the values of
// io/fs, so that os errors match them as they are.
var (
	// ErrNotExist says that nothing is at the path.
	ErrNotExist = iofs.ErrNotExist
	// ErrExist says that something is at the path already.
	ErrExist = iofs.ErrExist
	// ErrPermission says that the store does not allow the operation.
	ErrPermission = iofs.ErrPermission
	// ErrClosed says that a file or writer was used after its end.
	ErrClosed = iofs.ErrClosed
	// ErrIsDir says that a directory was used as a file.
	ErrIsDir = errors.New("is a directory")
	// ErrChanged says that the file that was opened is no longer in the store:
	// it was replaced or removed, and the store did not keep its bytes.
	ErrChanged = errors.New("changed or removed since it was opened")
	// ErrInvalid says that the store cannot hold a file of that name.
	ErrInvalid = iofs.ErrInvalid
	// ErrToken says that a token is damaged or from another file system.
	ErrToken = errors.New("invalid recovery token")
)

// PathError is the error that every method of a FileSystem, File or Writer
// returns: the operation, the path and the cause.
type PathError = iofs.PathError

// Wrap makes a PathError of err unless it is nil, and classifies the causes
// that fs knows. When err is itself a PathError, only its cause is kept, so
// that a message names one path: the caller's, not a staging name.
func Wrap(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var inner *PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	wrapped := &PathError{Op: op, Path: path, Err: err}
	switch {
	case errors.Is(err, ErrNotExist):
		return failure.Wrap(failure.NotFound, wrapped)
	case errors.Is(err, ErrExist), errors.Is(err, ErrChanged):
		return failure.Wrap(failure.Conflict, wrapped)
	case errors.Is(err, ErrPermission):
		return failure.Wrap(failure.Unauthorized, wrapped)
	case errors.Is(err, ErrToken):
		return failure.Wrap(failure.BadData, wrapped)
	}
	return wrapped
}
