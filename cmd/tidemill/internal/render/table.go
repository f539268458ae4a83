package render

import (
	"context"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// measuredRows is how many rows are held back to measure columns; later rows
	// that are wider than all of them stick out.
	measuredRows = 10000
	// maxCell bounds a cell's width on the screen; the rest becomes an ellipsis.
	maxCell = 80
)

// table draws rows in a box:
//
//	 name | count
//	------+-------
//	 a    |     3
type table struct {
	out    io.Writer
	types  []datatype.Type
	rows   [][]string // held back; the first is the header
	width  []int
	live   bool
	drawn  bool
	schema datatype.Schema
	zone   *time.Location
}

func newTable(out io.Writer, schema datatype.Schema, o Options) *table {
	t := &table{out: out, schema: schema, zone: o.Zone, live: o.Live}
	var header []string
	for _, f := range schema {
		header = append(header, clean(f.Name))
		t.types = append(t.types, f.Type)
	}
	t.width = make([]int, len(header))
	t.hold(header)
	if o.Live {
		for i, k := range t.types {
			t.width[i] = max(t.width[i], typicalWidth(k))
		}
	}
	return t
}

// typicalWidth is a guess for columns whose rows are not known yet.
func typicalWidth(t datatype.Type) int {
	switch {
	case t.IsTimestamp():
		return 20 + t.Precision
	case t.Is(datatype.BigInt, datatype.Double, datatype.Decimal, datatype.Varchar):
		return 12
	default:
		return 6
	}
}

func (t *table) hold(row []string) {
	kept := make([]string, len(row))
	for i, c := range row {
		kept[i] = c
		t.width[i] = max(t.width[i], uniseg.StringWidth(c))
	}
	t.rows = append(t.rows, kept)
}

// Batch implements Printer.
func (t *table) Batch(_ context.Context, b *stream.Batch) error {
	cells(b, t.schema, t.zone, func(row []string) {
		for i := range row {
			row[i] = clean(row[i])
		}
		t.hold(row)
	})
	if t.live || t.drawn || len(t.rows) > measuredRows {
		return t.draw()
	}
	return nil
}

// Close implements Printer.
func (t *table) Close() error { return t.draw() }

func (t *table) draw() error {
	var b strings.Builder
	for i, row := range t.rows {
		t.line(&b, row, i == 0 && !t.drawn)
		if i == 0 && !t.drawn {
			t.rule(&b)
		}
	}
	t.drawn, t.rows = true, t.rows[:0]
	_, err := io.WriteString(t.out, b.String())
	return err
}

func (t *table) line(b *strings.Builder, row []string, header bool) {
	var line strings.Builder
	for i, c := range row {
		if i > 0 {
			line.WriteString(" |")
		}
		pad := strings.Repeat(" ", max(t.width[i]-uniseg.StringWidth(c), 0))
		line.WriteByte(' ')
		if rightAligned(t.types[i]) && !header {
			line.WriteString(pad + c)
		} else {
			line.WriteString(c + pad)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " "))
	b.WriteByte('\n')
}

func (t *table) rule(b *strings.Builder) {
	for i, w := range t.width {
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString(strings.Repeat("-", w+2))
	}
	b.WriteByte('\n')
}

// clean makes a text fit one line of a terminal: control characters, which could
// move the cursor, become visible, and long texts are cut.
func clean(s string) string {
	plain := len(s) <= maxCell
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	var b strings.Builder
	width := 0
	for i, r := range s {
		if width >= maxCell-1 && i < len(s) {
			b.WriteRune('…')
			break
		}
		b.WriteRune(visible(r))
		width += max(uniseg.StringWidth(string(r)), 1)
	}
	return b.String()
}

// visible is r, or what stands for it where it would move the cursor.
func visible(r rune) rune {
	switch {
	case r == '\n':
		return '⏎'
	case r == '\t':
		return ' '
	case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
		return utf8.RuneError
	}
	return r
}
