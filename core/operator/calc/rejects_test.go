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

const broken = `
ts TIMESTAMP(3), n BIGINT
2024-01-01 00:00:01 | 1
NULL | 2
2024-01-01 00:00:03 | 3
2025-01-01 00:00:00 | 4
NULL | 5
2024-01-01 00:00:02 | 6`

func rejecting(sides bool) (operator.Operator, error) {
	in := operatortest.Parse(broken)
	d := deps
	d.Expr.Now = func() time.Time { return time.Date(2024, 1, 1, 0, 0, 1, 0, time.UTC) }
	return calc.NewWatermarkAssigner(&jobgraph.WatermarkAssigner{
		Watermark: expr.ToProto(column(in.Schema, 0)), FutureMillis: 3_600_000, Rejects: "t",
	}, in.Schema, sides, d)
}

// Rows without a time, or far in the future, are left out and counted where they are rejected;
// the watermark is that of the others.
func TestRejectedTimes(t *testing.T) {
	in := operatortest.Parse(broken)
	const want = "2024-01-01 00:00:01 | 1\n2024-01-01 00:00:03 | 3\n2024-01-01 00:00:02 | 6\n"
	for _, size := range []int{1, 2, 6} {
		op, err := rejecting(false)
		if err != nil {
			t.Fatal(err)
		}
		f := operatortest.NewFeed(t, op, in)
		for from := 0; from < 6; from += size {
			f.Rows(size)
		}
		f.Close()
		got := ""
		for _, line := range f.Output() {
			if !strings.HasPrefix(line, "watermark") {
				got += line + "\n"
			} else if line > "watermark 1704067203000" {
				t.Errorf("batches of %d: %s", size, line)
			}
		}
		if n := op.(*calc.WatermarkAssigner).Rejected(); got != want || n != 3 {
			t.Errorf("batches of %d: %d rejected, got\n%s", size, n, got)
		}
	}
}
