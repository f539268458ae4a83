package operatortest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

// cutKind takes the row kind off a line that begins with one.
func cutKind(line string) (stream.RowKind, string) {
	for k := stream.Insert; k <= stream.Delete; k++ {
		if rest, ok := strings.CutPrefix(line, k.String()+" "); ok {
			return k, strings.TrimSpace(rest)
		}
	}
	return stream.Insert, line
}

// folding is the table that a changelog leaves.
type folding struct {
	schema datatype.Schema
	keys   []int // rows of equal keys replace each other; nil: rows are told apart by all columns
	rows   [][]any
}

func (f *folding) apply(kind stream.RowKind, row []any) error {
	if !kind.Retracts() {
		if f.keys != nil {
			if at := f.find(row); at >= 0 {
				f.rows[at] = row
				return nil
			}
		}
		f.rows = append(f.rows, row)
		return nil
	}
	at := f.find(row)
	if at < 0 {
		return fmt.Errorf("%s of a row that is not there: %s", kind, FormatRow(f.schema, row))
	}
	f.rows = slices.Delete(f.rows, at, at+1)
	return nil
}

func (f *folding) find(row []any) int {
	text := f.identity(row)
	return slices.IndexFunc(f.rows, func(r []any) bool { return f.identity(r) == text })
}

func (f *folding) identity(row []any) string {
	if f.keys == nil {
		return FormatRow(f.schema, row)
	}
	s, key := make(datatype.Schema, len(f.keys)), make([]any, len(f.keys))
	for i, k := range f.keys {
		s[i], key[i] = f.schema[k], row[k]
	}
	return FormatRow(s, key)
}

// History is a table of n random changes: rows that row makes, some of which are
// updated or deleted later. Every so often time, if not nil, gives a watermark for how
// many changes there have been.
func History(seed uint64, schema datatype.Schema, n int, row func(r *rand.Rand, n int) []any, time func(n int) stream.Watermark) Table {
	r := rand.New(rand.NewPCG(seed, 5))
	t := Table{Schema: schema}
	var live [][]any
	add := func(k stream.RowKind, row []any) { t.Steps = append(t.Steps, Step{Row: row, Kind: k}) }
	for i := range n {
		if time != nil && r.IntN(5) == 0 {
			t.Steps = append(t.Steps, Step{Watermark: time(i)})
		}
		if len(live) == 0 || r.IntN(3) > 0 {
			live = append(live, row(r, i))
			add(stream.Insert, live[len(live)-1])
			continue
		}
		at := r.IntN(len(live))
		if r.IntN(2) == 0 {
			add(stream.Delete, live[at])
			live = slices.Delete(live, at, at+1)
			continue
		}
		add(stream.UpdateBefore, live[at])
		live[at] = row(r, i)
		add(stream.UpdateAfter, live[at])
	}
	return t
}

// withNulls returns the tables with nulls in random places that allow them. Equal rows
// get equal ones, so that what is taken back is what was there.
func withNulls(tables []Table, seed uint64) []Table {
	out := make([]Table, len(tables))
	for i, t := range tables {
		out[i] = Table{Schema: t.Schema}
		for _, s := range t.Steps {
			if s.Row != nil {
				s.Row = rowWithNulls(seed, t.Schema, s.Row)
			}
			out[i].Steps = append(out[i].Steps, s)
		}
	}
	return out
}

func rowWithNulls(seed uint64, schema datatype.Schema, row []any) []any {
	h := fnv.New64a()
	h.Write([]byte(FormatRow(schema, row)))
	r := rand.New(rand.NewPCG(seed, h.Sum64()))
	out := make([]any, len(row))
	for i, v := range row {
		if out[i] = v; schema[i].Type.Nullable && r.IntN(4) == 0 {
			out[i] = nil
		}
	}
	return out
}
