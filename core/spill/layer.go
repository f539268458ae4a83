package spill

import (
	"io"
	"os"
)

// layer is what the package needs of the machine's files; tests inject faults.
type layer interface {
	create(name string) (file, error)
	remove(name string) error
}

type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

type disk struct{ root *os.Root }

func (d disk) create(name string) (file, error) {
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d disk) remove(name string) error { return d.root.Remove(name) }
