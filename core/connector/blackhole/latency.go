package blackhole

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// Latencies counts how old rows were when they came: of each millisecond, how many rows
// took so long. Those of the longest took that, or longer.
type Latencies struct {
	Rows []int64 `json:"rows"`
}

// longest is the largest latency that is told from others.
const longest = time.Minute

// ahead is the most that a time may be ahead of the clock for its row to count: the end of
// the input closes windows before their time.
const ahead = time.Second

// add counts n rows.
func (l *Latencies) add(took time.Duration, n int64) {
	at := int(min(max(took, 0), longest).Milliseconds())
	for len(l.Rows) <= at {
		l.Rows = append(l.Rows, 0)
	}
	l.Rows[at] += n
}

// Merge adds what others have counted.
func (l *Latencies) Merge(others Latencies) {
	for ms, n := range others.Rows {
		if n > 0 {
			l.add(time.Duration(ms)*time.Millisecond, n)
		}
	}
}

// Count is the number of rows.
func (l *Latencies) Count() (n int64) {
	for _, rows := range l.Rows {
		n += rows
	}
	return n
}

// Quantile is the least latency that a share of the rows, from 0 to 1, did not exceed; to
// a millisecond, rounded up.
func (l *Latencies) Quantile(share float64) time.Duration {
	left := int64(share * float64(l.Count()))
	for ms, n := range l.Rows {
		if left -= n; left <= 0 && n > 0 {
			return time.Duration(ms+1) * time.Millisecond
		}
	}
	return 0
}

// clock measures the latencies of a writer's rows.
type clock struct {
	column int
	unit   int64 // nanoseconds of a unit of the column
	path   string
	now    func() time.Time
	seen   Latencies
}

// newClock reads the options; nil where they ask for nothing.
func newClock(s connector.SinkSpec, attempt id.Attempt) (*clock, error) {
	name, dir := s.Table.Options[latencyColumn], s.Table.Options[latencyReport]
	if name == "" && dir == "" {
		return nil, nil
	}
	column := s.Columns.Index(name)
	if column < 0 || dir == "" {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: options '%s' and '%s': want a column of the table and a directory", s.Table.Name, latencyColumn, latencyReport)
	}
	t := s.Columns[column].Type
	if !t.IsTimestamp() {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': column %s is %v, want a TIMESTAMP", s.Table.Name, latencyColumn, name, t)
	}
	unit := t.Arrow().(*arrow.TimestampType).Unit.Multiplier()
	path := fmt.Sprintf("%s/%d-%d-%d.json", dir, attempt.Subtask.Vertex, attempt.Subtask.Index, attempt.N)
	return &clock{column: column, unit: int64(unit), path: path, now: time.Now}, nil
}

// take counts the rows of a batch that something has become; those that are taken back
// are as old as what they were, and those ahead of their time are not of it.
func (c *clock) take(b *stream.Batch) {
	times, ok := b.Record.Column(c.column).(*array.Timestamp)
	if !ok {
		return
	}
	now := c.now().UnixNano()
	for i := range b.Len() {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		if b.Kinds != nil && b.Kinds[row].Retracts() || times.IsNull(row) {
			continue
		}
		if took := time.Duration(now - int64(times.Value(row))*c.unit); took >= -ahead {
			c.seen.add(took, 1)
		}
	}
}

// close writes the report.
func (c *clock) close() error {
	data, err := json.Marshal(c.seen)
	if err == nil {
		err = os.WriteFile(c.path, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the report of latencies: %w", err)
	}
	return nil
}
