// Package local is the file system of the machine, either whole or confined to
// one directory.
//
// A new file is written under a staged name, .tm-<random>, in the directory of
// its target and published by rename, or by link where nothing may be replaced:
//
//	Create   mkdir -p dir, fsync what was made; open dir/.tm-x exclusively
//	Write    straight to the staged file
//	Commit   fsync file; rename (or link + unlink) to the target; fsync dir
//	Abort    unlink the staged file
//
// A crash leaves at most a staged file, which List hides and RemoveAll removes.
//
// Symbolic links: staged files are opened exclusively, so a planted link is
// never written through; publishing replaces a link, not what it points to;
// recursive listing and removal do not enter linked directories. With
// Options.Root the kernel and os.Root refuse every path that leaves the root,
// through ".." or a link.
package local
