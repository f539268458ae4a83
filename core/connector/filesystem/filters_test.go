package filesystem

import (
	"errors"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/predicate"
)

// dayFilter wants one day.
type dayFilter struct {
	day   int64
	ready bool
}

func (f *dayFilter) Columns() []string { return []string{"day"} }
func (f *dayFilter) Ready() bool       { return f.ready }

func (f *dayFilter) Excludes(lookup func(string) (predicate.Summary, bool)) bool {
	s, ok := lookup("day")
	return ok && s.Min != f.day
}

func (f *dayFilter) Keep(columns []arrow.Array, n int) ([]int32, error) {
	return nil, errors.New("asked for rows of a column that is in no file")
}

// A filter over a partition column that is ready drops files before they are opened,
// and never sees rows; one that is not drops nothing.
func TestFiltersDropPartitions(t *testing.T) {
	w := newWorld(t)
	s := w.sink(false)
	if err := w.commit(s, w.stage(s, first)); err != nil {
		t.Fatal(err)
	}
	f := &dayFilter{day: 20_454} // 2026-01-01
	w.filters = []predicate.RowFilter{f}
	if got := w.read(nil, 8192); len(got) != 3 {
		t.Errorf("not ready: %q", got)
	}
	f.ready = true
	if got, want := w.read(nil, 8192), []string{"1 2026-01-01 a/b", "3 2026-01-01 a/b"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
