package state

import (
	"context"

	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/fs"
)

// Adopter is a backend that can go on with the pieces of earlier snapshots where they lie.
// Only its task's goroutine calls it.
type Adopter interface {
	// Adopt is Restore of all pieces at once, in their order, without reading them: keys are
	// read when they are asked for. It must precede Restore and Table. False without an
	// error: nothing has happened, the pieces are to be restored. What it was given must stay
	// where it is as long as Adopted names it.
	Adopt(ctx context.Context, pieces []Stored) (bool, error)
	// Adopted names, by Place.Name, the files that are still read.
	Adopted() []string
}

// Stored is a piece that lies in a file, sorted by keys as a memstate.Store orders them.
type Stored struct {
	Table    TableSpec
	Kind     Kind
	Groups   keygroup.Range // that rows may be of
	Snapshot uint32         // a later one has the greater number
	Stale    []bool         // by group: of those a later snapshot holds everything; nil: of none
	Spaces   []int64        // namespaces of rows, or that are dropped
	Counts   []uint64       // rows of each of Spaces
	Sequence uint64         // the greatest of rows of lists
	// First and Last: keys are in [First, Last).
	First, Last []byte
	Place       Place // where it lies; of DropSpace nowhere
}

// Place is a stretch of a file.
type Place struct {
	FS             fs.FileSystem
	Path           string // in FS
	Name           string // by which who owns the file knows it
	Offset, Length int64
}
