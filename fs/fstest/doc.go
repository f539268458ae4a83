// Package fstest is the conformance suite of the fs contract. Every
// implementation of fs.FileSystem runs it whole; the optional abilities
// (fs.Recoverer, fs.DirSyncer) are tested where they exist.
package fstest
