// Package namenode makes the calls of Hadoop's ClientProtocol that the client
// library has messages for but no method: a rename that replaces nothing, which
// is how HDFS decides who creates a file; concat, which joins files by moving
// their blocks; and where the blocks of a file are.
//
// The library keeps its connection in an unexported field; this package reads
// it. The library's version is pinned, and a test holds the field in place.
package namenode
