// Package s3 is the file system of Amazon S3 and of servers that speak its
// protocol. The path bucket/key is the object key in bucket.
//
// # Reading
//
// Open is one request: it gets the last 64 KiB together with the size and the
// ETag. There Parquet keeps its footer, and a small file is whole by then. Every
// later request asks for that ETag, so a reader never sees a mix of two versions:
// when a large object was replaced, reading what is not in memory yet fails
// (Conflict) and the query has to be planned again.
//
// A file whose listing is at hand (OpenInfo) needs not even that one. Package
// readahead decides which ranges are fetched when. A body that breaks off is
// continued where it ended.
//
// # Writing
//
// A file that fits into one part is one PutObject at Commit. A larger one is a
// multipart upload, some parts at the same time; completing it is what makes it
// visible. IfNotExists is If-None-Match. All objects carry the name of their write
// as metadata, which tells a lost reply from a lost race.
//
// A token holds the upload's id and the parts. What is too short for a part when
// Persist is called lies beside the file in a hidden directory until the file is
// published. Resume overwrites the parts that came after its token, so that a
// token of Seal that contains them cannot be published any more.
//
// # Names
//
// Keys are no directories: a file may lie below a file, and a directory is where
// something lies below. Renaming copies and deletes, file by file.
//
// # Errors
//
// Requests are tried again when the server is busy or the network breaks, within
// a budget that all requests share. What is left then is Transient. Denied is
// fs.ErrPermission, missing fs.ErrNotExist; all name bucket and key.
//
// # Locks
//
// FileSystem.mu guards the client, upload.mu the parts. None is
// held while another is taken or during a request, except FileSystem.mu, under
// which credentials are looked for once.
package s3
