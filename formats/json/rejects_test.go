package json_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/formattest"
	"github.com/tidemill/tidemill/formats/json"
)

// Lines that are no rows are told with their places and texts, in order, at every size of
// batches; the rows are those of the other lines.
func TestRejects(t *testing.T) {
	text := "{\"a\":1,\"s\":\"x\"}\n" +
		"no json\n" +
		"\n" +
		"{\"a\":\"x\",\"o\":{\"x\":[1,\"y\"]}}\r\n" +
		"{\"a\":2,\"o\":{\"x\":[1,2]}}\n" +
		"{\"a\":3,\"o\":{\"x\":[1,{}]}}\n" +
		"{\"a\":3,\"o\":7}\n" +
		"{\"a\":null,\"s\":\"z\"}\n" +
		"{\"a\":4}\n" +
		"{\"a\":5,\"s\":\"\\q\"}"
	schema := append(datatype.Schema{}, wanted...)
	schema[0].Type = schema[0].Type.NotNull()
	want := []string{
		`some/file.bin:2|unexpected 'n' where '{' belongs|no json`,
		`some/file.bin:4|column a: value "x" is not a BIGINT|{"a":"x","o":{"x":[1,"y"]}}`,
		`some/file.bin:6|column o.x.element: value "{}" is not a INT|{"a":3,"o":{"x":[1,{}]}}`,
		`some/file.bin:7|column o: value "7" is not a ROW: unexpected '7' where '{' belongs|{"a":3,"o":7}`,
		`some/file.bin:8|column a: no value for BIGINT NOT NULL|{"a":null,"s":"z"}`,
		`some/file.bin:10|column s: value "\\q" is not a STRING|{"a":5,"s":"\q"}`,
	}
	for _, rows := range []int{1, 2, 3, 100} {
		var rejected []string
		got, stats, err := formattest.Suite{Format: json.Format{}}.Read(formattest.Input([]byte(text)), formats.ReadOptions{
			Columns: schema, BatchRows: rows, Reject: func(r formats.Rejected) error {
				rejected = append(rejected, r.Place+"|"+r.Err.Error()+"|"+string(r.Text))
				return nil
			},
		})
		if err != nil || strings.Join(got, "") != `1|x|(null)|2|(null)|{"x":[1,2]}|4|(null)|(null)|` || stats.Rows != 3 || stats.BadRows != 0 {
			t.Errorf("batches of %d: %q, %+v, %v", rows, got, stats, err)
		}
		for i := range max(len(want), len(rejected)) {
			if i >= len(want) || i >= len(rejected) || rejected[i] != want[i] {
				t.Fatalf("batches of %d: rejected\n%s\nwant\n%s", rows, strings.Join(rejected, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	full := errors.New("full")
	_, _, err := formattest.Suite{Format: json.Format{}}.Read(formattest.Input([]byte(text)), formats.ReadOptions{
		Columns: schema, Reject: func(formats.Rejected) error { return full },
	})
	if !errors.Is(err, full) {
		t.Errorf("who takes them fails: %v", err)
	}
}
