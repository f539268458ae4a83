// Package hdfs holds the first parts of the way to a Hadoop file system: where
// its namenodes are, read from Hadoop's own XML (Conf), and connections to them
// that cannot hang (WithDeadline). It has no FileSystem yet.
package hdfs
