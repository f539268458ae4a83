package local

import (
	iofs "io/fs"
	"os"
)

// disk is what the file system needs of the operating system. *os.Root is one,
// confined; machine is the other; tests put failing ones between.
type disk interface {
	OpenFile(name string, flag int, perm iofs.FileMode) (*os.File, error)
	Stat(name string) (iofs.FileInfo, error)
	MkdirAll(name string, perm iofs.FileMode) error
	Rename(from, to string) error
	Link(from, to string) error
	Remove(name string) error
	RemoveAll(name string) error
}

var (
	_ disk = machine{}
	_ disk = (*os.Root)(nil)
)

// machine is the whole machine's disk.
type machine struct{}

func (machine) OpenFile(name string, flag int, perm iofs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}
func (machine) Stat(name string) (iofs.FileInfo, error)        { return os.Stat(name) }
func (machine) MkdirAll(name string, perm iofs.FileMode) error { return os.MkdirAll(name, perm) }
func (machine) Rename(from, to string) error                   { return os.Rename(from, to) }
func (machine) Link(from, to string) error                     { return os.Link(from, to) }
func (machine) Remove(name string) error                       { return os.Remove(name) }
func (machine) RemoveAll(name string) error                    { return os.RemoveAll(name) }
