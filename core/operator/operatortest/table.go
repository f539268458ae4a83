package operatortest

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

// Table is rows of physical values (see core/predicate) with watermarks between
// them.
type Table struct {
	Schema datatype.Schema
	Steps  []Step
}

// Step is a row or, without one, a tick or a watermark.
type Step struct {
	Row       []any
	Kind      stream.RowKind // of the row; invalid: Insert
	Tick      int64          // processing time in milliseconds; 0: none
	Watermark stream.Watermark
}

func (s Step) isWatermark() bool { return s.Row == nil && s.Tick == 0 }

// Rows returns the rows that the changes leave, without the watermarks. It panics where
// one takes back what is not there.
func (t Table) Rows() [][]any {
	f := folding{schema: t.Schema}
	for _, s := range t.Steps {
		if s.Row != nil {
			if err := f.apply(s.Kind, s.Row); err != nil {
				panic(fmt.Sprintf("operatortest: %v", err))
			}
		}
	}
	return f.rows
}

// Parse reads a table; it panics on text that is none, because the text is part
// of a test.
func Parse(text string) Table {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	t := Table{Schema: ParseSchema(lines[0])}
	for _, line := range lines[1:] {
		line = strings.TrimSpace(line)
		if step, ok := cutTime(line); ok {
			t.Steps = append(t.Steps, step)
			continue
		}
		kind, line := cutKind(line)
		cells := strings.Split(line, "|")
		if len(cells) != len(t.Schema) {
			panic(fmt.Sprintf("operatortest: %d values in %q, want %d", len(cells), line, len(t.Schema)))
		}
		row := make([]any, len(cells))
		for i, c := range cells {
			v, err := parseValue(t.Schema[i].Type, strings.TrimSpace(c))
			if err != nil {
				panic(fmt.Sprintf("operatortest: %q: %v", line, err))
			}
			row[i] = v
		}
		t.Steps = append(t.Steps, Step{Row: row, Kind: kind})
	}
	return t
}

// cutTime reads a line that advances a time.
func cutTime(line string) (Step, bool) {
	word, number, _ := strings.Cut(line, " ")
	if word != "watermark" && word != "tick" {
		return Step{}, false
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return Step{}, false // a row
	case word == "tick":
		return Step{Tick: n}, true
	}
	return Step{Watermark: stream.Watermark(n)}, true
}

// ParseSchema reads name TYPE, name TYPE.
func ParseSchema(text string) datatype.Schema {
	t, err := datatype.Parse("ROW<" + strings.TrimSpace(text) + ">")
	if err != nil {
		panic(fmt.Sprintf("operatortest: schema %q: %v", text, err))
	}
	return t.Fields
}

func parseValue(t datatype.Type, s string) (any, error) {
	if s == "NULL" {
		return nil, nil
	}
	switch {
	case t.IsString():
		if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
			s = s[1 : len(s)-1]
		}
		return s, nil
	case t.IsBinary():
		return hex.DecodeString(s)
	case t.Kind == datatype.Boolean:
		return strconv.ParseBool(s)
	case t.Is(datatype.Float, datatype.Double):
		return strconv.ParseFloat(s, 64)
	case t.Kind == datatype.Decimal:
		return parseDecimal(t, s)
	case t.IsTemporal():
		return parseTime(t, s)
	default:
		return strconv.ParseInt(s, 10, 64)
	}
}

func parseDecimal(t datatype.Type, s string) (any, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > t.Scale {
		return nil, fmt.Errorf("%s has more than %d digits after the point", s, t.Scale)
	}
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", t.Scale-len(fraction)), 10)
	if !ok {
		return nil, fmt.Errorf("%s is no decimal", s)
	}
	if t.Precision <= datatype.MaxDecimal64Precision {
		return n.Int64(), nil
	}
	return decimal128.FromBigInt(n), nil
}

var layouts = map[datatype.Kind]string{
	datatype.Date: "2006-01-02", datatype.Time: "15:04:05.999999999",
	datatype.Timestamp: "2006-01-02 15:04:05.999999999", datatype.TimestampLTZ: "2006-01-02 15:04:05.999999999",
}

// unit is the length of 1 in t's physical form.
func unit(t datatype.Type) time.Duration {
	if t.Kind == datatype.Date {
		return 24 * time.Hour
	}
	return datatype.TimestampUnit(t.Precision).Multiplier()
}

func parseTime(t datatype.Type, s string) (any, error) {
	at, err := time.Parse(layouts[t.Kind], s)
	if err != nil {
		return nil, err
	}
	if t.Kind == datatype.Time {
		return int64(at.Sub(at.Truncate(24*time.Hour)) / unit(t)), nil
	}
	u := int64(unit(t))
	return at.Unix()*(int64(time.Second)/min(u, int64(time.Second)))/max(u/int64(time.Second), 1) + int64(at.Nanosecond())/u, nil
}

// FormatRow prints a row in the form that Parse reads.
func FormatRow(s datatype.Schema, row []any) string {
	cells := make([]string, len(row))
	for i, v := range row {
		cells[i] = formatValue(s[i].Type, v)
	}
	return strings.Join(cells, " | ")
}

func formatValue(t datatype.Type, v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		if v == "NULL" || v != strings.TrimSpace(v) {
			return "'" + v + "'"
		}
		return v
	case []byte:
		return hex.EncodeToString(v)
	case float64:
		return strconv.FormatFloat(v, 'g', 12, 64)
	case decimal128.Num:
		return v.ToString(int32(t.Scale))
	case int64:
		switch {
		case t.Kind == datatype.Decimal:
			return decimal128.FromI64(v).ToString(int32(t.Scale))
		case t.IsTemporal():
			u := unit(t)
			if u >= time.Second {
				return time.Unix(v*int64(u/time.Second), 0).UTC().Format(layouts[t.Kind])
			}
			per := int64(time.Second / u)
			return time.Unix(v/per, v%per*int64(u)).UTC().Format(layouts[t.Kind])
		}
	}
	return fmt.Sprint(v)
}

// Record makes an Arrow record of rows.
func Record(mem memory.Allocator, s datatype.Schema, rows [][]any) arrow.RecordBatch {
	b := array.NewRecordBuilder(mem, s.Arrow())
	defer b.Release()
	for _, row := range rows {
		for i, v := range row {
			if err := compute.AppendValue(b.Field(i), v); err != nil {
				panic(fmt.Sprintf("operatortest: column %s: %v", s[i].Name, err))
			}
		}
	}
	return b.NewRecordBatch()
}

// ReadRows returns the selected rows of a batch as physical values.
func ReadRows(b *stream.Batch) [][]any {
	rows := make([][]any, b.Len())
	for i := range rows {
		r := i
		if b.Sel != nil {
			r = int(b.Sel[i])
		}
		rows[i] = make([]any, b.Record.NumCols())
		for c := range rows[i] {
			rows[i][c] = compute.ValueAt(b.Column(c), r)
		}
	}
	return rows
}

// readSteps returns the selected rows of a batch with their kinds.
func readSteps(b *stream.Batch) []Step {
	steps := make([]Step, b.Len())
	for i, row := range ReadRows(b) {
		at := i
		if b.Sel != nil {
			at = int(b.Sel[i])
		}
		steps[i] = Step{Row: row, Kind: b.Kind(at)}
	}
	return steps
}
