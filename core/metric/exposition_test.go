package metric_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/metric"
)

// The page that Prometheus reads: one head for each name, labels escaped, time in
// seconds, buckets that add up.
func TestWriteText(t *testing.T) {
	r := metric.NewRegistry(metric.Options{})
	s := r.Scope(metric.L("job", "a\"b\\c\nd"))
	s.Counter("tidemill_rows_total", "Rows\nread.").Add(7)
	r.Scope().Counter("tidemill_rows_total", "other").Inc()
	r.Scope().GaugeFunc("tidemill_part", "A part.", func() float64 { return 0.25 })
	h := r.Scope().Histogram("tidemill_wait_seconds", "Waits.", metric.Nanoseconds)
	h.RecordDuration(time.Second)
	h.RecordDuration(time.Second)
	h.Record(1)
	r.Scope().Histogram("tidemill_none_bytes", "None.", metric.Bytes)
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `# HELP tidemill_none_bytes None.
# TYPE tidemill_none_bytes histogram
tidemill_none_bytes_bucket{le="+Inf"} 0
tidemill_none_bytes_sum 0
tidemill_none_bytes_count 0
# HELP tidemill_part A part.
# TYPE tidemill_part gauge
tidemill_part 0.25
# HELP tidemill_rows_total Rows\nread.
# TYPE tidemill_rows_total counter
tidemill_rows_total 1
tidemill_rows_total{job="a\"b\\c\nd"} 7
# HELP tidemill_wait_seconds Waits.
# TYPE tidemill_wait_seconds histogram
tidemill_wait_seconds_bucket{le="1e-09"} 1
tidemill_wait_seconds_bucket{le="1.073741823"} 3
tidemill_wait_seconds_bucket{le="+Inf"} 3
tidemill_wait_seconds_sum 2.000000001
tidemill_wait_seconds_count 3
`
	if got := b.String(); got != want {
		t.Errorf("have\n%s", got)
	}
	if err := r.WriteText(broken{}); err == nil {
		t.Error("a page that could not be written is no error")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
