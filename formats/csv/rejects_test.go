package csv_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/csv"
	"github.com/tidemill/tidemill/formats/formattest"
)

func rejecting(text string, span formats.Span, batch int) (rows, rejected []string, err error) {
	schema := datatype.Schema{
		{Name: "a", Type: datatype.Of(datatype.BigInt).NotNull()}, {Name: "s", Type: datatype.Of(datatype.Varchar)}, {Name: "n", Type: datatype.Of(datatype.Int)},
	}
	rows, _, err = formattest.Suite{Format: csv.Format{}, Options: formats.Options{"csv.header": "true"}}.Read(formattest.Input([]byte(text)), formats.ReadOptions{
		Columns: schema, Declared: schema, BatchRows: batch, Span: span, Reject: func(r formats.Rejected) error {
			rejected = append(rejected, r.Place+"|"+r.Err.Error()+"|"+string(r.Text))
			return nil
		},
	})
	return rows, rejected, err
}

// Records that are no rows are told with their places and texts, in order, at every size of
// batches; the rows are the others. A quote that is not closed takes the rest of the file.
func TestRejects(t *testing.T) {
	text := "a,s,n\n1,x,2\n1,x\n\n\"2\"z,x,3\n3,\"two\nlines\",x\n,y,1\nq,y,w\r\n4,\"y\n\",5\n5,y,\n6,\"open\nrest,1,2\n"
	want := []string{
		`some/file.bin:3|2 fields instead of 3|1,x`,
		`some/file.bin:5|unexpected 'z' after a closing quote|"2"z,x,3`,
		"some/file.bin:6|column n: value \"x\" is not a INT|3,\"two\nlines\",x",
		`some/file.bin:8|column a: no value for BIGINT NOT NULL|,y,1`,
		`some/file.bin:9|column a: value "q" is not a BIGINT|q,y,w`,
		"some/file.bin:13|quoted field is not closed|6,\"open\nrest,1,2",
	}
	for _, batch := range []int{1, 2, 3, 100} {
		rows, rejected, err := rejecting(text, formats.Span{}, batch)
		if err != nil || strings.Join(rows, "") != "1|x|2|4|y\n|5|5|y|(null)|" {
			t.Errorf("batches of %d: %q, %v", batch, rows, err)
		}
		if !slices.Equal(rejected, want) {
			t.Errorf("batches of %d: rejected\n%s\nwant\n%s", batch, strings.Join(rejected, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Of a file of several windows each record is a row or is rejected, once, at its line, also
// where it is read in spans.
func TestRejectsOfManyWindows(t *testing.T) {
	var text strings.Builder
	text.WriteString("a,s,n\n")
	var want []string
	const lines = 60_000
	for i := range lines {
		if i%1000 == 7 || i > 40_000 && i < 45_000 {
			line := fmt.Sprintf("%d,%s,bad", i, strings.Repeat("x", 50))
			want = append(want, fmt.Sprintf("some/file.bin:%d|column n: value \"bad\" is not a INT|%s", i+2, line))
			fmt.Fprintln(&text, line)
			continue
		}
		fmt.Fprintf(&text, "%d,%s,1\n", i, strings.Repeat("x", 50))
	}
	in := formattest.Input([]byte(text.String()))
	spans, err := csv.Format{}.Spans(t.Context(), in, formats.SpanOptions{TargetBytes: 1 << 20, Options: formats.Options{"csv.header": "true"}})
	if err != nil || len(spans) < 2 {
		t.Fatal(spans, err)
	}
	total, all := 0, []string(nil)
	for _, s := range append([]formats.SpanInfo{{}}, spans...) {
		rows, rejected, err := rejecting(text.String(), s.Span, 500)
		if err != nil {
			t.Fatal(err)
		}
		total += len(rows)
		all = append(all, rejected...)
	}
	if total != 2*(lines-len(want)) || !slices.Equal(all, append(slices.Clone(want), want...)) {
		t.Errorf("%d rows and %d rejected of %d, twice", total, len(all), len(want))
	}
}

// The error of who takes them ends reading.
func TestRejectFails(t *testing.T) {
	full := errors.New("full")
	schema := datatype.Schema{{Name: "a", Type: datatype.Of(datatype.BigInt)}}
	_, _, err := formattest.Suite{Format: csv.Format{}}.Read(formattest.Input([]byte("a\n1\nx\n")), formats.ReadOptions{
		Columns: schema, Reject: func(formats.Rejected) error { return full },
	})
	if !errors.Is(err, full) {
		t.Error(err)
	}
}
