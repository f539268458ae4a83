package csv_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/csv"
	"github.com/tidemill/tidemill/formats/formattest"
)

func read(text string, columns, declared datatype.Schema, opts formats.Options) ([]string, formats.ReadStats, error) {
	s := formattest.Suite{Format: csv.Format{}, Options: opts}
	return s.Read(formattest.Input([]byte(text)), formats.ReadOptions{Columns: columns, Declared: declared})
}

// Inference: names, types and whether the first line is a header.
func TestSchema(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a,b\n1,x\n2,y\n", "a BIGINT, b STRING"},
		{"1,x\n2,y\n", "column0 BIGINT, column1 STRING"},
		{"a,b\nx,y\n", "a STRING, b STRING"},
		{"\xef\xbb\xbfid,v\r\n1,1.5\r\n", "id BIGINT, v DOUBLE"},
		{"d,t,f,z\n2024-02-29,2024-01-01 10:00:00,true,007\n", "d DATE, t TIMESTAMP(6), f BOOLEAN, z STRING"},
		{"n\n1\n\n9223372036854775808\n", "n DOUBLE"},
		{"a,a,\n1,2,3\n", "a BIGINT, a_1 BIGINT, column2 BIGINT"},
		{"\"x\ny\",b\n1,2\n", "`x\ny` BIGINT, b BIGINT"},
		{"", ""},
	} {
		s, err := csv.Format{}.Schema(context.Background(), formattest.Input([]byte(c.text)), nil)
		if err != nil || s.String() != c.want {
			t.Errorf("%q: %v, %v, want %s", c.text, s, err, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	text := datatype.Of(datatype.Varchar)
	number := datatype.Of(datatype.BigInt)
	two := datatype.Schema{{Name: "a", Type: number}, {Name: "b", Type: text}}
	for _, c := range []struct {
		name, text string
		opts       formats.Options
		want       []string
	}{
		{"header", "b,a\nx,1\n", nil, []string{"1|x|"}},
		{"no header", "1,x\n2,y", nil, []string{"1|x|", "2|y|"}},
		{"quotes", "1,\"x\"\"y\"\n2,\"\r\n,\"\r\n", nil, []string{`1|x"y|`, "2|\r\n,|"}},
		{"nulls", ",\n1,\"\"\n", nil, []string{"(null)|(null)|", "1||"}},
		{"null literal", "NULL,NULL\n,\n", formats.Options{"csv.null-literal": "NULL"}, []string{"(null)|(null)|", "(null)||"}},
		{"comments", "#x\n1,x\n#y\n", formats.Options{"csv.allow-comments": "true"}, []string{"1|x|"}},
		{"delimiter", "1\tx\n", formats.Options{"csv.field-delimiter": `\t`}, []string{"1|x|"}},
		{"no quotes", "1,\"x\n", formats.Options{"csv.disable-quote-character": "true"}, []string{`1|"x|`}},
		{"ignore", "1,x\ny,x\n1\n2,z\n", formats.Options{"csv.ignore-parse-errors": "true", "csv.header": "false"}, []string{"1|x|", "(null)|x|", "2|z|"}},
	} {
		got, _, err := read(c.text, two, two, c.opts)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

// An error names file, line, column and value.
func TestErrors(t *testing.T) {
	two := datatype.Schema{{Name: "a", Type: datatype.Of(datatype.BigInt)}, {Name: "b", Type: datatype.Of(datatype.Varchar)}}
	for _, c := range []struct{ text, want string }{
		{"a,b\n1,x\n\"2\",\"\n\"\nx,y\n", `some/file.bin:5: column a: value "x" is not a BIGINT`},
		{"1,x\n2\n", "some/file.bin:2: 1 fields instead of 2"},
		{"1,x\n2,\"y\n", "some/file.bin:2: quoted field is not closed"},
		{"1,\"x\"y\n", `some/file.bin:1: unexpected 'y' after a closing quote`},
		{"1,x\n99999999999999999999,y\n", `value "99999999999999999999" is not a BIGINT`},
	} {
		_, _, err := read(c.text, two, two, nil)
		if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

// Spans of a large file with line breaks in quotes meet at records.
func TestSpansOfQuotedText(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var file bytes.Buffer
	var want []string
	for i := range 60_000 {
		switch rnd.IntN(50) {
		case 0:
			fmt.Fprintf(&file, "%d,\"line\n%d,\"\"quoted\"\"\n\"\n", i, i)
			want = append(want, fmt.Sprintf("%d|line\n%d,\"quoted\"\n|", i, i))
		case 1: // a quote inside a field that is not quoted is just a byte
			fmt.Fprintf(&file, "%d,5\" pipe\n", i)
			want = append(want, fmt.Sprintf("%d|5\" pipe|", i))
		default:
			fmt.Fprintf(&file, "%d,some text of a plain row\n", i)
			want = append(want, fmt.Sprintf("%d|some text of a plain row|", i))
		}
	}
	two := datatype.Schema{{Name: "a", Type: datatype.Of(datatype.BigInt)}, {Name: "b", Type: datatype.Of(datatype.Varchar)}}
	in := formattest.Input(file.Bytes())
	spans, err := csv.Format{}.Spans(context.Background(), in, formats.SpanOptions{TargetBytes: 300_000})
	if err != nil || len(spans) < 5 {
		t.Fatalf("%d spans, %v", len(spans), err)
	}
	var got []string
	for _, span := range spans {
		lines, _, err := formattest.Suite{Format: csv.Format{}}.Read(in, formats.ReadOptions{Columns: two, Declared: two, Span: span.Span})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, lines...)
	}
	formattest.Compare(t, want, got)
}

func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	const rows = 200_000
	for i := range rows {
		fmt.Fprintf(&file, "%d,%d.%02d,2024-01-%02d,some text %d,\"quoted, %d\"\n", i, i%1000, i%100, i%28+1, i%77, i)
	}
	s := datatype.Schema{
		{Name: "a", Type: datatype.Of(datatype.BigInt)},
		{Name: "b", Type: datatype.DecimalOf(15, 2)},
		{Name: "c", Type: datatype.Of(datatype.Date)},
		{Name: "d", Type: datatype.Of(datatype.Varchar)},
		{Name: "e", Type: datatype.Of(datatype.Varchar)},
	}
	in := formattest.Input(file.Bytes())
	b.SetBytes(in.Size)
	for b.Loop() {
		r, err := csv.Format{}.NewReader(context.Background(), in, formats.ReadOptions{Columns: s, Declared: s})
		if err != nil {
			b.Fatal(err)
		}
		for {
			batch, err := r.Read(context.Background())
			if err != nil {
				break
			}
			batch.Release()
		}
		if r.Stats().Rows != rows {
			b.Fatal(r.Stats())
		}
		r.Close()
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
