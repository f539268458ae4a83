package json_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/formattest"
	"github.com/tidemill/tidemill/formats/json"
)

func TestSchema(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"a":1,"b":"x"}` + "\n" + `{"b":null,"c":1.5,"a":2}`, "a BIGINT, b STRING, c DOUBLE"},
		{`{"d":"2024-01-01","t":"2024-01-01T00:00:00","n":"12","f":true}`, "d DATE, t TIMESTAMP(6), n STRING, f BOOLEAN"},
		{`{"o":{"x":1,"y":[1,2]},"l":[{"k":"v"}],"m":1}` + "\n" + `{"m":"x"}`, "o ROW<x BIGINT, y ARRAY<BIGINT>>, l ARRAY<ROW<k STRING>>, m STRING"},
		{"\n\n", ""},
	} {
		s, err := json.Format{}.Schema(context.Background(), formattest.Input([]byte(c.text)), nil)
		if err != nil || s.String() != c.want {
			t.Errorf("%s: %v, %v, want %s", c.text, s, err, c.want)
		}
	}
	_, err := json.Format{}.Schema(context.Background(), formattest.Input([]byte("{\"a\":1}\n[1]\n")), nil)
	if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "some/file.bin:2: unexpected '['") {
		t.Errorf("no object: %v", err)
	}
}

var wanted = datatype.Schema{
	{Name: "a", Type: datatype.Of(datatype.BigInt)},
	{Name: "s", Type: datatype.Of(datatype.Varchar)},
	{Name: "o", Type: datatype.RowOf(datatype.Field{Name: "x", Type: datatype.ArrayOf(datatype.Of(datatype.Int))})},
}

func read(text string, opts formats.Options) ([]string, formats.ReadStats, error) {
	return formattest.Suite{Format: json.Format{}, Options: opts}.Read(formattest.Input([]byte(text)), formats.ReadOptions{Columns: wanted})
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"a":1,"s":"x","o":{"x":[1,null]}}`, `1|x|{"x":[1,null]}|`},
		{`{"s":null}`, "(null)|(null)|(null)|"},
		{`{"zz":[{"a":{}}],"a":"7","s":{"raw": 1}}`, `7|{"raw": 1}|(null)|`},
		{`{"\u0061":1,"s":"\ud83e\udd86\n\"\\\/"}`, "1|🦆\n\"\\/|(null)|"},
		{`{"a":1,"a":2,"o":{}}`, `2|(null)|{"x":null}|`},
		{"  \r", ""},
	} {
		got, _, err := read(c.text, nil)
		if err != nil || strings.Join(got, "") != c.want {
			t.Errorf("%s: %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

// An error names file, line, the path of the column and the value.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{\"a\":1}\n{\"a\":\"x\"}", `some/file.bin:2: column a: value "x" is not a BIGINT`},
		{"\n{\"o\":{\"x\":[1,2.5]}}", `some/file.bin:2: column o.x.element: value "2.5" is not a INT`},
		{`{"o":{"x":{}}}`, `column o.x: value "{}" is not a ARRAY`},
		{`{"a":1`, "some/file.bin:1: line ends in the middle of a value"},
		{`{"a":1}}`, "unexpected '}' where the line's end belongs"},
		{`{"a":nul}`, `"nul" is no JSON value`},
		{`{"s":"x`, "string is not closed"},
		{`{"s":` + strings.Repeat("[", 300) + `}`, "nested deeper than 200"},
	} {
		_, _, err := read(c.text, nil)
		if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestIgnoreParseErrors(t *testing.T) {
	got, stats, err := read("{\"a\":1}\nnonsense\n{\"a\":\"x\",\"s\":\"y\"}\n{\"o\":{\"x\":1}}\n", formats.Options{"json.ignore-parse-errors": "true"})
	want := []string{"1|(null)|(null)|", "(null)|y|(null)|", `(null)|(null)|{"x":null}|`}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || stats.BadRows != 3 {
		t.Errorf("%q, %+v, %v", got, stats, err)
	}
}

func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	const rows = 200_000
	for i := range rows {
		fmt.Fprintf(&file, `{"a":%d,"b":%d.%02d,"c":"2024-01-%02d","d":"some text %d"}`+"\n", i, i%1000, i%100, i%28+1, i%77)
	}
	s := datatype.Schema{
		{Name: "a", Type: datatype.Of(datatype.BigInt)},
		{Name: "b", Type: datatype.DecimalOf(15, 2)},
		{Name: "c", Type: datatype.Of(datatype.Date)},
		{Name: "d", Type: datatype.Of(datatype.Varchar)},
	}
	in := formattest.Input(file.Bytes())
	b.SetBytes(in.Size)
	for b.Loop() {
		r, err := json.Format{}.NewReader(context.Background(), in, formats.ReadOptions{Columns: s})
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
