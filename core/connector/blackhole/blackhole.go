package blackhole

import (
	"context"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

// Name is the value of the 'connector' option.
const Name = "blackhole"

// The options.
const (
	latencyColumn = "latency.column"
	latencyReport = "latency.report"
)

// Connector takes rows and drops them. The zero value is ready to use.
type Connector struct{}

var (
	_ connector.Connector     = Connector{}
	_ connector.OptionChecker = Connector{}
)

// Name implements connector.Connector.
func (Connector) Name() string { return Name }

// Describe implements connector.Connector.
func (c Connector) Describe(_ context.Context, t connector.Table, _ *predicate.Predicate) (connector.Description, error) {
	return connector.Description{Schema: t.Schema, Bounded: true}, c.CheckOptions(t)
}

// CheckOptions implements connector.OptionChecker.
func (Connector) CheckOptions(t connector.Table) error {
	for key := range t.Options {
		if key != "connector" && key != latencyColumn && key != latencyReport {
			return failure.Errorf(failure.InvalidSQL, "table %s: connector %s has no option '%s'", t.Name, Name, key)
		}
	}
	return nil
}

// Enumerator implements connector.Connector.
func (Connector) Enumerator(_ context.Context, s connector.SourceSpec, _ []byte) (connector.Enumerator, error) {
	return nil, writeOnly(s)
}

// Reader implements connector.Connector.
func (Connector) Reader(_ context.Context, s connector.SourceSpec, _ connector.ReaderEnv) (connector.Reader, error) {
	return nil, writeOnly(s)
}

func writeOnly(s connector.SourceSpec) error {
	return failure.Errorf(failure.InvalidSQL, "table %s: connector %s cannot be read from", s.Table.Name, Name)
}

// Writer implements connector.Connector.
func (Connector) Writer(_ context.Context, s connector.SinkSpec, env connector.WriterEnv) (connector.Writer, error) {
	c, err := newClock(s, env.Attempt)
	return &writer{clock: c}, err
}

// Committer implements connector.Connector.
func (Connector) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return committer{}, nil
}

// writer counts rows, so that a job reports what it wrote.
type writer struct {
	rows  int64
	clock *clock // nil: nobody asks
}

func (w *writer) Write(_ context.Context, b *stream.Batch) error {
	if w.clock != nil {
		w.clock.take(b)
	}
	w.rows += int64(b.Len())
	b.Release()
	return nil
}

func (w *writer) Prepare(context.Context) ([]connector.Committable, error) {
	rows := w.rows
	w.rows = 0
	if rows == 0 {
		return nil, nil
	}
	return []connector.Committable{{Rows: rows}}, nil
}

func (w *writer) Snapshot() ([]byte, error) { return nil, nil }

func (w *writer) Close() error {
	if w.clock == nil {
		return nil
	}
	return w.clock.close()
}

// committer has nothing to publish.
type committer struct{}

func (committer) Commit(context.Context, id.Checkpoint, []connector.Committable, bool) error {
	return nil
}
func (committer) Abort(context.Context, []connector.Committable) error { return nil }
func (committer) Close() error                                         { return nil }

// Accepts implements connector.ChangelogSink: a change is dropped like a row.
func (Connector) Accepts(connector.Table) connector.Changes { return connector.Retractions }
