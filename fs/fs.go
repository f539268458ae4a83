package fs

import (
	"context"
	"io"
	"strings"
	"time"
)

// FileSystem is a tree of files. All methods may be called concurrently by any
// goroutine, return early with the context's error when it is done, and name
// the path in their errors.
type FileSystem interface {
	// Open opens the file at path for random access; the caller closes it.
	// The context also bounds every later read. A directory or a missing
	// file is an error, the latter ErrNotExist.
	Open(ctx context.Context, path string) (File, error)

	// Create begins a new file, making missing directories. Nothing is
	// visible at path before the writer's Commit. The context bounds this
	// call only.
	Create(ctx context.Context, path string, opts CreateOptions) (Writer, error)

	// Stat describes the file or directory at path, or says ErrNotExist.
	Stat(ctx context.Context, path string) (Info, error)

	// List calls visit for what lies in dir, sorted by path as bytes; an
	// error from visit ends the listing and is returned as it is. A dir that
	// does not exist is ErrNotExist, one that is a file is visited alone.
	List(ctx context.Context, dir string, opts ListOptions, visit func(Info) error) error

	// Rename moves a file, replacing a file at to in one step, or a whole
	// directory to a name that does not exist yet (otherwise ErrExist). It is
	// durable when it returns. Only for single files is it one step
	// everywhere; object stores move directories file by file.
	Rename(ctx context.Context, from, to string) error

	// Remove deletes one file, or says ErrNotExist. A crash of the host may
	// bring the file back until its directory is synced (DirSyncer).
	Remove(ctx context.Context, path string) error

	// RemoveAll deletes the file or the directory at path with everything
	// below it, staged data included; nothing there is no error. It never
	// follows symbolic links.
	RemoveAll(ctx context.Context, path string) error
}

// File reads one file as it was when it was opened. ReadAt follows io.ReaderAt
// and may be called concurrently; after Close it fails with ErrClosed.
type File interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes at the time of opening.
	Size() int64
	// Info describes the file as it was opened.
	Info() Info
}

// Writer writes one new file front to back. One goroutine uses it. Exactly one
// successful Commit publishes the file; Abort is always safe to defer.
type Writer interface {
	io.Writer
	// Commit makes the file durable and visible in one step. With
	// IfNotExists it fails with ErrExist when path was taken in the
	// meantime. After an error the file is not visible unless the error came
	// after publishing (a lost reply); the caller calls Abort and may look.
	// After a failed Write, Commit fails too.
	Commit(ctx context.Context) error
	// Abort throws away what was written; nothing of it stays. After a
	// successful Commit, and the second time, it does nothing. Pass a
	// context that is still alive (context.WithoutCancel).
	Abort(ctx context.Context) error
}

// CreateOptions says how a file is created; the zero value replaces.
type CreateOptions struct {
	// IfNotExists makes Commit refuse, with ErrExist, to replace a file. Of
	// several writers racing for a name exactly one succeeds.
	IfNotExists bool
}

// ListOptions says what List visits; the zero value lists one level.
type ListOptions struct {
	// Recursive visits the files at any depth and no directories. Without
	// it files and directories of one level are visited.
	Recursive bool
	// Staged also visits staged data of unfinished writers, for those who
	// clean up after a crash.
	Staged bool
}

// Info describes a file or a directory.
type Info struct {
	// Path is the path in the form in which the caller gave it, or, from
	// List, the given directory joined with the name.
	Path string
	// Size is the length in bytes; 0 for directories.
	Size int64
	// ModTime is when the content was published, by the store's clock; zero
	// where the store does not say.
	ModTime time.Time
	// ETag changes whenever the content changes; opaque, empty for directories.
	ETag string
	// Dir is true for directories.
	Dir bool
}

// Name is the last part of the path.
func (i Info) Name() string { _, name := Split(i.Path); return name }

// Recoverer is the ability to continue, publish or drop a file that a process
// which may be gone was writing. Tokens are opaque, versioned and checksummed;
// a damaged one is refused. All methods may be called concurrently for
// different files.
type Recoverer interface {
	// CreateRecoverable begins a new file at path, like FileSystem.Create.
	CreateRecoverable(ctx context.Context, path string) (RecoverableWriter, error)
	// Resume continues from a token of Persist; bytes written after it are
	// gone. It fails with ErrNotExist when the staged data is gone.
	Resume(ctx context.Context, token []byte) (RecoverableWriter, error)
	// Publish makes the file of a token of Seal visible. When it is visible
	// already, nothing happens; when its data is gone, ErrNotExist.
	Publish(ctx context.Context, token []byte) error
	// Discard drops the staged data of any token; none left is no error. A
	// published file stays.
	Discard(ctx context.Context, token []byte) error
}

// RecoverableWriter writes one file that survives the process. One goroutine
// uses it.
type RecoverableWriter interface {
	io.Writer
	// Persist makes everything written so far durable and returns the token
	// that resumes after it.
	Persist(ctx context.Context) ([]byte, error)
	// Seal makes the file durable and complete and returns the token that
	// Publish takes. The writer takes no more data.
	Seal(ctx context.Context) ([]byte, error)
	// Abort drops the file unless it is sealed; the second time, and after
	// Seal, it does nothing.
	Abort(ctx context.Context) error
}

// Prefetcher is the ability of a File whose reads are slow to start, to begin with
// a read before its turn.
type Prefetcher interface {
	// Prefetch says that length bytes at off will be read soon, and once. It
	// returns at once and is only a hint: whoever does not have the memory for
	// it ignores it. It may be called concurrently.
	Prefetch(off, length int64)
}

// InfoOpener is the ability to open a file without asking the store what is known
// of it already.
type InfoOpener interface {
	// OpenInfo opens the file that info describes, as Stat, List or an open File
	// told it. When that file is no longer there, a read fails with ErrChanged.
	// Otherwise it is FileSystem.Open.
	OpenInfo(ctx context.Context, info Info) (File, error)
}

// DirSyncer is the ability to make removals in one directory durable.
type DirSyncer interface {
	// SyncDir returns when no crash can bring back what was removed from dir.
	SyncDir(ctx context.Context, dir string) error
}

// RecovererOf returns the Recoverer of a file system, and false if it has
// none. It also asks wrappers, which answer for what they wrap.
func RecovererOf(fsys FileSystem) (Recoverer, bool) {
	if w, ok := fsys.(interface{ Recoverer() (Recoverer, bool) }); ok {
		return w.Recoverer()
	}
	r, ok := fsys.(Recoverer)
	return r, ok
}

// StagedPrefix begins the name of each file that holds unpublished data.
const StagedPrefix = ".tm-"

// TemporaryDir is the name of a directory for unpublished data; other engines
// use it too.
const TemporaryDir = "_temporary"

// Staged reports whether name, one part of a path, holds unpublished data that
// List hides.
func Staged(name string) bool {
	return strings.HasPrefix(name, StagedPrefix) || name == TemporaryDir
}

// Readable reports whether name, one part of a path below a table's directory,
// belongs to the table's data. As in Hive and Spark, names that begin with a
// dot or an underscore do not, except partition directories (_k=v).
func Readable(name string) bool {
	if strings.HasPrefix(name, "_") {
		return strings.Contains(name, "=")
	}
	return !strings.HasPrefix(name, ".")
}
