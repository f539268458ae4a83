package option_test

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/option"
	"github.com/tidemill/tidemill/core/failure"
)

func TestParser(t *testing.T) {
	for _, c := range []struct {
		options map[string]string
		want    string // part of the error; empty for none
	}{
		{map[string]string{"connector": "c"}, ""},
		{map[string]string{"connector": "c", "rows": "10", "share": "0.5"}, ""},
		{map[string]string{"rows": "11"}, `table t: option 'rows': "11" is not a whole number from 1 to 10`},
		{map[string]string{"rows": "0"}, "is not a whole number"},
		{map[string]string{"rows": "ten"}, "is not a whole number"},
		{map[string]string{"share": "NaN"}, `option 'share': "NaN" is not a number from 0 to 1`},
		{map[string]string{"rows": "x", "share": "y"}, "'rows'"},
		{map[string]string{"rowz": "1"}, "unknown option 'rowz' of connector c; did you mean 'rows'?"},
		{map[string]string{"zzzzzzzz": "1", "yyyyyyyy": "1"}, "unknown option 'yyyyyyyy' of connector c"},
		{map[string]string{"rows": "x", "rowz": "1"}, "whole number"},
	} {
		p := option.New(connector.Table{Name: "t", Options: c.options})
		if rows := p.Integer("rows", 3, 1, 10); c.options["rows"] == "" && rows != 3 {
			t.Errorf("%v: %d rows", c.options, rows)
		}
		if share := p.Real("share", 0.25, 0, 1); c.options["share"] == "" && share != 0.25 {
			t.Errorf("%v: share %g", c.options, share)
		}
		err := p.End("c")
		if c.want == "" {
			if err != nil {
				t.Errorf("%v: %v", c.options, err)
			}
			continue
		}
		if failure.Of(err) != failure.InvalidSQL || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.options, err, c.want)
		}
	}
}
