package render

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// Screen is a terminal that a live table is drawn on.
type Screen struct {
	Out io.Writer
	// Size is how many columns and lines there are.
	Size func() (columns, lines int)
}

const (
	// frameTime is the least time between two pictures of a table.
	frameTime = 100 * time.Millisecond
	// maxShown is how many different rows a table on the screen may have; there is more on
	// no screen.
	maxShown = 100_000
)

// view shows the table that changes make, over its last picture, in the order of its
// columns.
type view struct {
	screen *Screen
	schema datatype.Schema
	zone   *time.Location

	mu      sync.Mutex
	rows    map[string]*shown
	changes int64
	lines   int // of the last picture
	drawn   time.Time
	later   *time.Timer // draws what came too soon; nil: nothing did
	stopped bool
	failed  error // of the screen
}

// shown is a row that is in the table so many times.
type shown struct {
	cells []string
	times int
}

func newView(schema datatype.Schema, o Options) *view {
	return &view{screen: o.Screen, schema: schema, zone: o.Zone, rows: map[string]*shown{}}
}

// Batch implements Printer.
func (v *view) Batch(_ context.Context, b *stream.Batch) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := 0
	cells(b, v.schema, v.zone, func(row []string) {
		r := at
		if at++; b.Sel != nil {
			r = int(b.Sel[r])
		}
		v.change(b.Kind(r), row)
	})
	if len(v.rows) > maxShown {
		return failure.Errorf(failure.Usage, "the table has more than %d rows, too many to show it as it changes: SET 'sql-client.execution.result-mode' = 'changelog', or print the changes into a file or pipe", maxShown)
	}
	switch wait := frameTime - time.Since(v.drawn); {
	case wait <= 0:
		v.draw()
	case v.later == nil:
		v.later = time.AfterFunc(wait, func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			if !v.stopped {
				v.draw()
			}
		})
	}
	return v.failed
}

// change takes one row in or out.
func (v *view) change(kind stream.RowKind, row []string) {
	v.changes++
	key := strings.Join(row, "\x00")
	old := v.rows[key]
	switch kind {
	case stream.UpdateBefore, stream.Delete:
		if old == nil {
			return
		}
		if old.times--; old.times == 0 {
			delete(v.rows, key)
		}
	default:
		if old == nil {
			old = &shown{cells: make([]string, len(row))}
			for i, c := range row {
				old.cells[i] = clean(c)
			}
			v.rows[key] = old
		}
		old.times++
	}
}

// Close implements Printer: the last picture stays.
func (v *view) Close() error {
	v.Stop()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

// Stop draws the last picture. It may be called more than once, and after an error.
func (v *view) Stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.later != nil {
		v.later.Stop()
	}
	if !v.stopped && v.failed == nil {
		v.draw()
	}
	v.stopped = true
}

// draw replaces the last picture. The caller holds the lock.
func (v *view) draw() {
	v.drawn = time.Now()
	if v.later != nil {
		v.later.Stop()
		v.later = nil
	}
	columns, lines := v.screen.Size()
	all := make([]*shown, 0, len(v.rows))
	for _, r := range v.rows {
		all = append(all, r)
	}
	slices.SortFunc(all, v.compare)
	var text strings.Builder
	// Header, rule, what is left out, the count and the cursor's line take their place.
	most := max(1, lines-5)
	t := newTable(&text, v.schema, Options{})
	total, left := 0, 0
	for _, r := range all {
		total += r.times
		n := min(r.times, most+1-len(t.rows))
		left += r.times - n
		for range n {
			t.hold(r.cells)
		}
	}
	_ = t.draw() // into memory
	if left > 0 {
		fmt.Fprintf(&text, " ... %d more rows\n", left)
	}
	fmt.Fprintf(&text, "%d rows, %d changes; Ctrl-C ends the query\n", total, v.changes)
	var frame strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA", v.lines)
	}
	frame.WriteString("\r\x1b[J")
	v.lines = 0
	for line := range strings.Lines(text.String()) {
		frame.WriteString(fit(strings.TrimSuffix(line, "\n"), columns))
		frame.WriteString("\r\n")
		v.lines++
	}
	if _, err := io.WriteString(v.screen.Out, frame.String()); err != nil {
		v.failed = err
	}
}

// compare orders rows by their cells, numbers as such.
func (v *view) compare(a, b *shown) int {
	for i, f := range v.schema {
		if c := compareCells(a.cells[i], b.cells[i], f.Type.IsNumeric()); c != 0 {
			return c
		}
	}
	return 0
}

func compareCells(a, b string, numeric bool) int {
	if numeric {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX == nil && errY == nil && x != y {
			return cmp.Compare(x, y)
		}
	}
	return strings.Compare(a, b)
}

// fit cuts a line to the width of the screen: one that is wrapped would be two.
func fit(line string, columns int) string {
	if uniseg.StringWidth(line) <= columns {
		return line
	}
	var b strings.Builder
	width, state := 0, -1
	for rest := line; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if width += w; width > columns {
			break
		}
		b.WriteString(cluster)
	}
	return b.String()
}
