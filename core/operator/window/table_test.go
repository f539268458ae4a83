package window_test

import (
	"testing"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/window"
)

// Rows with their windows, with kinds, and those without a time.

const windowed = `
k STRING, ts TIMESTAMP(3)
a | 1970-01-01 00:00:04.999
-U b | 1970-01-01 00:00:05
c | NULL`

func TestTable(t *testing.T) {
	in := operatortest.Parse(windowed)
	out := operatortest.ParseSchema("k STRING, ts TIMESTAMP(3), window_start TIMESTAMP(3), window_end TIMESTAMP(3), window_time TIMESTAMP(3)")
	for shape, want := range map[string]string{
		"tumble": `
a | 1970-01-01 00:00:04.999 | 1970-01-01 00:00:00 | 1970-01-01 00:00:05 | 1970-01-01 00:00:04.999
-U b | 1970-01-01 00:00:05 | 1970-01-01 00:00:05 | 1970-01-01 00:00:10 | 1970-01-01 00:00:09.999`,
		"hop": `
a | 1970-01-01 00:00:04.999 | 1969-12-31 23:59:55 | 1970-01-01 00:00:05 | 1970-01-01 00:00:04.999
a | 1970-01-01 00:00:04.999 | 1970-01-01 00:00:00 | 1970-01-01 00:00:10 | 1970-01-01 00:00:09.999
-U b | 1970-01-01 00:00:05 | 1970-01-01 00:00:00 | 1970-01-01 00:00:10 | 1970-01-01 00:00:09.999
-U b | 1970-01-01 00:00:05 | 1970-01-01 00:00:05 | 1970-01-01 00:00:15 | 1970-01-01 00:00:14.999`,
		"hop gaps": ``, // both fall between windows: 4 s of each 10
	} {
		t.Run(shape, func(t *testing.T) {
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: out, Want: want, Ordered: true,
				New: func() (operator.Operator, error) {
					return window.NewTable(&jobgraph.WindowTable{Window: shapes[shape], TimeColumn: 1}, in.Schema, out)
				},
			})
		})
	}
	for name, spec := range map[string]*jobgraph.WindowTable{
		"no window": {TimeColumn: 1}, "no time": {Window: shapes["hop"]}, "no column": {Window: shapes["hop"], TimeColumn: 7},
	} {
		if _, err := window.NewTable(spec, in.Schema, out); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
