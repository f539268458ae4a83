package calc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/calc"
	"github.com/tidemill/tidemill/core/operator/operatortest"
)

// Rows have the time of the clock, whatever was in the column; the watermark is a
// millisecond behind it, also while nothing comes, and stands while the clock goes back.
func TestProcessingTime(t *testing.T) {
	in := operatortest.Parse("v INT, at TIMESTAMP(6)\n1 | 2024-01-01 00:00:01\n2 | NULL\n3 | NULL\n4 | NULL")
	clock := time.Unix(1_700_000_000, 5_900_000)
	d := deps
	d.Expr = expr.Options{Now: func() time.Time { return clock }}
	op, err := calc.NewWatermarkAssigner(&jobgraph.WatermarkAssigner{Column: 1, Processing: true}, in.Schema, false, d)
	if err != nil {
		t.Fatal(err)
	}
	f := operatortest.NewFeed(t, op, in)
	f.Rows(2)
	clock = clock.Add(time.Second)
	if err := op.(operator.Ticker).Tick(clock); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(-time.Minute)
	f.Rows(1)
	clock = clock.Add(time.Hour)
	f.Rows(1)
	want := `1 | 2023-11-14 22:13:20.005
2 | 2023-11-14 22:13:20.005
watermark 1700000000004
watermark 1700000001004
3 | 2023-11-14 22:13:21.005
4 | 2023-11-14 23:12:21.005
watermark 1700003541004`
	if got := strings.Join(f.Output(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f.Close()
	if _, err := calc.NewWatermarkAssigner(&jobgraph.WatermarkAssigner{Processing: true}, in.Schema, false, d); err == nil {
		t.Error("processing time in an INT")
	}
}
