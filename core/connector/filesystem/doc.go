// Package filesystem is the connector of tables that are directories of files,
// on any fs and in any of the formats.
//
// # Reading
//
// A table's path is a file, a glob or a directory; a directory means every
// readable file below it. Hive-style k=v directories are partition columns. The
// enumerator lists files once, drops partitions and row groups that cannot
// match, and hands out spans of files; it opens a file's footer only when its
// turn has come. A reader reads one span after the other and adds the partition
// columns as constants.
//
//	path -> files -> partitions pruned -> spans (row groups) pruned -> splits
//
// With 'source.monitor-interval' the table never ends: the enumerator looks for new files
// that often, and its snapshots hold a ledger of those that it has seen. A file counts
// once, by its path, and must be whole when it appears there: what is written under
// hidden names and renamed, as all our writers do.
//
// Rows are looked up in memory: each subtask reads the whole table, and again as the
// lookup options say.
//
// # Writing
//
// A writer stages one file per table partition through the file system's
// Recoverer; nobody sees it. Preparing seals the open files: their tokens are the
// committables. The committer publishes all files of a bounded job together:
//
//  1. the journal _tidemill-<job>.json is written: what will be published. For
//     OVERWRITE it is _tidemill-overwrite.json, one for the whole table, and says
//     which files are replaced: a job that finds another's finishes that first;
//  2. replaced files are renamed to hidden names;
//  3. new files are published;
//  4. _SUCCESS, the manifest, is written; hidden files and journal are removed.
//
// A stream's files are published with each checkpoint, and its table partitions get success
// files when they are complete, by the clock or by event time (sink.partition-commit.*;
// partition.go).
//
// After a failure in 2 or 3 the same may be tried again; aborting undoes both. The
// files of a complete checkpoint are never aborted. After a crash the next committer of the table,
// of whatever job, finds the journal and finishes what it says; if it cannot, that
// is a conflict that names the journal. While 2 and 3 run a reader may list a mix;
// it never does afterwards.
package filesystem
