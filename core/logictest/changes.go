package logictest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	changesName = "changes"
	// columnMark stands between the values of a row; no printed value has it.
	columnMark = "\x00"
)

// changes is a connector whose only table keeps what its rows' changes leave. It survives
// the engines that write to it, and takes what a checkpoint publishes once.
type changes struct {
	mu      sync.Mutex
	writers int             // that there were
	seen    map[string]bool // committables
	rows    map[string]int  // how often each row is there; less than 0: it was taken back too often
	schema  datatype.Schema // of the last writer
}

// reset empties the table.
func (c *changes) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.rows = map[string]bool{}, map[string]int{}
}

// table is what the changes leave, in no order. A row that was taken back more often than
// it came is an error.
func (c *changes) table() (rows [][]string, schema datatype.Schema, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for row, n := range c.rows {
		values := strings.Split(row, columnMark)
		if n < 0 {
			return nil, nil, fmt.Errorf("taken back %d times too often: %s", -n, strings.Join(values, separator))
		}
		for range n {
			rows = append(rows, values)
		}
	}
	return rows, c.schema, nil
}

// Name implements connector.Connector.
func (*changes) Name() string { return changesName }

// Accepts implements connector.ChangelogSink.
func (*changes) Accepts(connector.Table) connector.Changes { return connector.Retractions }

// Describe implements connector.Connector.
func (*changes) Describe(_ context.Context, t connector.Table, _ *predicate.Predicate) (connector.Description, error) {
	return connector.Description{Schema: t.Schema, Bounded: true, Rows: -1, Bytes: -1}, nil
}

// Enumerator implements connector.Connector.
func (*changes) Enumerator(context.Context, connector.SourceSpec, []byte) (connector.Enumerator, error) {
	return nil, errWriteOnly
}

// Reader implements connector.Connector.
func (*changes) Reader(context.Context, connector.SourceSpec, connector.ReaderEnv) (connector.Reader, error) {
	return nil, errWriteOnly
}

var errWriteOnly = failure.Errorf(failure.InvalidSQL, "connector %s is written to only", changesName)

// Writer implements connector.Connector.
func (c *changes) Writer(_ context.Context, s connector.SinkSpec, _ connector.WriterEnv) (connector.Writer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writers, c.schema = c.writers+1, s.Columns
	return &changesWriter{schema: s.Columns, writer: c.writers}, nil
}

// Committer implements connector.Connector.
func (c *changes) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return (*changesCommitter)(c), nil
}

// staged is a committable: how often each row has come.
type staged struct {
	ID   string
	Rows map[string]int
}

// changesWriter is a subtask's half.
type changesWriter struct {
	schema datatype.Schema
	writer int // which one, of all engines
	nth    int // of its committables
	staged staged
}

// Write implements connector.Writer.
func (w *changesWriter) Write(_ context.Context, b *stream.Batch) error {
	defer b.Release()
	if w.staged.Rows == nil {
		w.staged.Rows = map[string]int{}
	}
	for n := range b.Len() {
		at := n
		if b.Sel != nil {
			at = int(b.Sel[n])
		}
		row := strings.Join(printed(b, at, w.schema), columnMark)
		if b.Kind(at).Retracts() {
			w.staged.Rows[row]--
		} else {
			w.staged.Rows[row]++
		}
	}
	return nil
}

// Prepare implements connector.Writer.
func (w *changesWriter) Prepare(context.Context) ([]connector.Committable, error) {
	if len(w.staged.Rows) == 0 {
		return nil, nil
	}
	w.nth++
	w.staged.ID = fmt.Sprint(w.writer, " ", w.nth)
	data, err := json.Marshal(w.staged)
	w.staged = staged{}
	return []connector.Committable{{Data: data}}, err
}

// Snapshot implements connector.Writer.
func (*changesWriter) Snapshot() ([]byte, error) { return nil, nil }

// Close implements connector.Writer.
func (*changesWriter) Close() error { return nil }

// changesCommitter is the coordinator's half.
type changesCommitter changes

// Commit implements connector.Committer.
func (c *changesCommitter) Commit(_ context.Context, _ id.Checkpoint, all []connector.Committable, _ bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range all {
		var s staged
		if err := json.Unmarshal(one.Data, &s); err != nil {
			return failure.Errorf(failure.Fatal, "decode changes: %w", err)
		}
		if c.seen[s.ID] {
			continue
		}
		c.seen[s.ID] = true
		for row, n := range s.Rows {
			if c.rows[row] += n; c.rows[row] == 0 {
				delete(c.rows, row)
			}
		}
	}
	return nil
}

// Abort implements connector.Committer.
func (*changesCommitter) Abort(context.Context, []connector.Committable) error { return nil }

// Close implements connector.Committer.
func (*changesCommitter) Close() error { return nil }

var _ connector.ChangelogSink = (*changes)(nil)
