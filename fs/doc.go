// Package fs is the contract between Tidemill and the places where files lie.
// It knows bytes only: no rows, no formats, no engine. An implementation
// (fs/local, fs/memfs, ...) is one FileSystem; a Registry finds it by the
// scheme of a URI; fs/faultfs wraps one to make it fail on purpose;
// fs/fstest is the suite that every implementation passes whole.
//
// # Paths
//
// A path is slash-separated text, taken as it is: nothing is URL-decoded, for
// partition directories carry percent signs in their names. A URI is
// scheme://path; what follows the two slashes, authority included, is the path
// that the file system sees:
//
//	/data/x.csv, data/x.csv     scheme file, path as written
//	file:///data/x.csv          scheme file, path /data/x.csv
//	mem://t/x.csv               scheme mem,  path t/x.csv
//	s3://bucket/t/x.csv         scheme s3,   path bucket/t/x.csv
//
// Directories are not made and not unmade: Create makes the ones it needs, and
// a directory counts as existing while a file lies below it. Whether an empty
// one still shows is up to the implementation.
//
// # All or nothing
//
// A file is written through a Writer and becomes visible by Commit, in one
// step and durably; until then no reader sees any of it. Staged data lies
// under names that Staged recognises; List leaves them out. A reader that has
// a file open goes on reading the bytes it opened whatever happens to the name,
// or fails with ErrChanged where the store drops them; it never reads others.
//
// # Errors
//
// Each error names its path and operation (*PathError). A missing, existing or
// forbidden file is ErrNotExist, ErrExist or ErrPermission under errors.Is, and
// those are the io/fs values, so that both vocabularies agree.
//
// # Exactly-once output
//
// A file system that can continue a half-written file after its process died
// offers a Recoverer; a sink persists the writer's token in its checkpoint.
//
//	write.. Persist -> token A        checkpoint N holds A
//	write.. crash                     bytes after A are torn off by Resume(A)
//	write.. Seal    -> token B        checkpoint N+1 holds B; nothing visible yet
//	        Publish(B)                visible; repeating it changes nothing
package fs
