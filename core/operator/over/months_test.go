package over

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// TestMonthsLeast shows that no row after another one has a bound below what is kept
// for that one: rows that are needed again would be gone.
func TestMonthsLeast(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	stamp := datatype.Of(datatype.Timestamp)
	for _, of := range []datatype.Type{datatype.Of(datatype.Date), stamp.WithPrecision(0), stamp.WithPrecision(3), stamp.WithPrecision(6)} {
		span := int64(800)
		if of.Kind == datatype.Timestamp {
			span *= 24 * 60 * 60
			for range of.Precision {
				span *= 10
			}
		}
		for _, descending := range []bool{false, true} {
			for by := int64(-14); by <= 14; by++ {
				v := make([]int64, 300)
				for i := range v {
					v[i] = r.Int64N(span) - span/2
				}
				slices.Sort(v)
				m := months{by: by, of: of, descending: descending}
				lowest := m.bound(v[len(v)-1])
				for i := len(v) - 1; i >= 0; i-- {
					lowest = min(lowest, m.bound(v[i]))
					if least := m.least(v[i]); least > lowest {
						t.Fatalf("%s, descending %v, %d months: least of %d is %d, a bound after it %d", of, descending, by, v[i], least, lowest)
					}
				}
			}
		}
	}
}

// TestMonthsOfTimes refuses what has no months.
func TestMonthsOfTimes(t *testing.T) {
	bound := &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_PRECEDING, Offset: 1, Months: true}
	frame := &jobgraph.Frame{Unit: jobgraph.FrameUnit_FRAME_RANGE, From: bound, To: &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_CURRENT_ROW}}
	date := datatype.Schema{{Name: "d", Type: datatype.Of(datatype.Date)}}
	if err := checkMonths(frame, date); err != nil {
		t.Error(err)
	}
	for _, order := range []datatype.Schema{nil, {date[0], date[0]}, {{Name: "n", Type: datatype.Of(datatype.BigInt)}}} {
		if checkMonths(frame, order) == nil {
			t.Errorf("months over %v", order)
		}
	}
	frame.Unit = jobgraph.FrameUnit_FRAME_ROWS
	if checkMonths(frame, date) == nil {
		t.Error("months of rows")
	}
}
