package predicate

import "github.com/apache/arrow-go/v18/arrow"

// RowFilter drops rows that nobody asks for while they are read, so that whoever
// reads decodes the filter's columns first, and of the others only what is left. A
// row that it would drop may come all the same: applying it is never a duty. One
// goroutine uses it.
type RowFilter interface {
	// Columns are the names of the columns that it looks at, at least one.
	Columns() []string
	// Ready reports whether it can drop rows by now. It is asked before rows are
	// read, each time: what a filter is made of may come late, or never.
	Ready() bool
	// Excludes reports whether it drops all rows of a set; lookup returns a column's
	// summary, and false where nothing is known. It is asked of filters that are ready.
	Excludes(lookup func(column string) (Summary, bool)) bool
	// Keep returns the rows that it keeps of n, ascending, or nil for all of them.
	// columns are those of Columns, in that order; text may be dictionaries. The rows
	// stay valid until the next call. It is asked of filters that are ready.
	Keep(columns []arrow.Array, n int) ([]int32, error)
}
