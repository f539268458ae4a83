// Package token encodes where a recoverable file stands, for file systems that
// stage a file under a name of its own and publish it by renaming.
//
//	version(1) kind(1) length(8 LE) len(path) path len(staged) staged crc32c(4 LE)
package token
