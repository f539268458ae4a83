// Package namenode makes the calls of Hadoop's ClientProtocol that the client
// library has messages for but no method: a rename that replaces nothing, which
// is how HDFS decides who creates a file; concat, which joins files by moving
// their blocks; where the blocks of a file are; and completing a file once more.
//
// The library keeps its connection, and what it writes, in unexported fields; this
// package reads them. The library's version is pinned, and a test holds the fields
// in place.
package namenode
