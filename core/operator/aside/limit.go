package aside

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// RejectLimit is the operator of a jobgraph.RejectLimit.
type RejectLimit struct {
	table  string
	late   bool
	limits map[string]*limit // by the table that records are of
	out    operator.Output
}

// limit is how many records of a table may come, and have. It is looked up by what lies in
// batches: an assignment would make that the map's key, and it goes with the batch.
type limit struct{ most, seen int64 }

// NewRejectLimit returns the operator that spec describes. Its input has RejectColumns, or
// LateColumns if it is of late rows.
func NewRejectLimit(spec *jobgraph.RejectLimit) (operator.Operator, error) {
	l := &RejectLimit{table: spec.Table, late: spec.Late, limits: map[string]*limit{}}
	for _, m := range spec.Most {
		if m.Rows < 0 {
			return nil, fmt.Errorf("at most %d rejected records of %s", m.Rows, m.Source)
		}
		l.limits[m.Source] = &limit{most: m.Rows}
	}
	return l, nil
}

// counts is the state: how many records of each table there were. Its bytes have the checksum
// of the manifest that they are part of.
type counts struct {
	Version int
	Seen    map[string]int64
}

const countsVersion = 1

// Open implements operator.Operator.
func (l *RejectLimit) Open(ctx *operator.Context) error {
	l.out = ctx.Output
	for _, saved := range ctx.Restored {
		var c counts
		if err := json.Unmarshal(saved, &c); err != nil || c.Version != countsVersion {
			return failure.Errorf(failure.BadData, "counts of rejected records, version %d, cannot be read: %w", c.Version, err)
		}
		for table, n := range c.Seen {
			if l.limits[table] == nil { // any more: it is counted on
				l.limits[table] = &limit{most: math.MaxInt64}
			}
			l.limits[table].seen += n
		}
	}
	return nil
}

// Process implements operator.Operator.
func (l *RejectLimit) Process(_ int, b *stream.Batch) error {
	tables := b.Column(sourceTable) // of late rows, operators
	for i := range b.Len() {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		table := ""
		if !l.late {
			table = textAt(tables, row)
		}
		to := l.limits[table]
		if to == nil {
			continue
		}
		if to.seen++; to.seen > to.most {
			defer b.Release()
			if l.late {
				return failure.Errorf(failure.BadData, "more than %d rows came late and went to %s, as many as 'table.exec.late-rows.max' allows; the last one at %s", to.most, l.table, describeLate(b, row))
			}
			return failure.Errorf(failure.BadData, "more than %d records of table %s were rejected into %s, as many as 'rejects.max' allows; the last one: %s",
				to.most, table, l.table, describe(b, row))
		}
	}
	return l.out.Emit(b)
}

// describe is a rejected record in a message.
func describe(b *stream.Batch, row int) string {
	text := textAt(b.Column(errorText), row)
	if b.Column(place).IsNull(row) {
		return text
	}
	return textAt(b.Column(place), row) + ": " + text
}

// describeLate is a late row in a message.
func describeLate(b *stream.Batch, row int) string {
	text := textAt(b.Column(lateOperator), row)
	if times := b.Column(lateEventTime); times.IsValid(row) {
		text += ", of " + times.(*array.Timestamp).Value(row).ToTime(arrow.Millisecond).Format("2006-01-02 15:04:05.000")
	}
	return text
}

func textAt(a arrow.Array, row int) string {
	switch a := a.(type) {
	case *array.String:
		return a.Value(row)
	case *array.Dictionary:
		return a.Dictionary().(*array.String).Value(a.GetValueIndex(row))
	}
	return ""
}

// Watermark implements operator.Operator.
func (l *RejectLimit) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (l *RejectLimit) EndInput(int) error { return nil }

// Snapshot implements operator.Snapshotter: how many records there were.
func (l *RejectLimit) Snapshot(stream.Barrier) ([]byte, error) {
	c := counts{Version: countsVersion, Seen: map[string]int64{}}
	for table, to := range l.limits {
		if to.seen > 0 {
			c.Seen[table] = to.seen
		}
	}
	return json.Marshal(c)
}

// Completed implements operator.Snapshotter.
func (l *RejectLimit) Completed(id.Checkpoint) error { return nil }

// Close implements operator.Operator.
func (l *RejectLimit) Close() error { return nil }

var (
	_ operator.Operator    = (*RejectLimit)(nil)
	_ operator.Snapshotter = (*RejectLimit)(nil)
)
