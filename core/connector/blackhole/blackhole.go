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

// Connector takes rows and drops them. The zero value is ready to use.
type Connector struct{}

var (
	_ connector.Connector     = Connector{}
	_ connector.OptionChecker = Connector{}
)

// Name implements connector.Connector.
func (Connector) Name() string { return Name }

// Describe implements connector.Connector. The connector has no options.
func (c Connector) Describe(_ context.Context, t connector.Table, _ *predicate.Predicate) (connector.Description, error) {
	return connector.Description{Schema: t.Schema, Bounded: true}, c.CheckOptions(t)
}

// CheckOptions implements connector.OptionChecker.
func (Connector) CheckOptions(t connector.Table) error {
	for key := range t.Options {
		if key != "connector" {
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
func (Connector) Writer(context.Context, connector.SinkSpec, connector.WriterEnv) (connector.Writer, error) {
	return &writer{}, nil
}

// Committer implements connector.Connector.
func (Connector) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return committer{}, nil
}

// writer counts rows, so that a job reports what it wrote.
type writer struct{ rows int64 }

func (w *writer) Write(_ context.Context, b *stream.Batch) error {
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
func (w *writer) Close() error              { return nil }

// committer has nothing to publish.
type committer struct{}

func (committer) Commit(context.Context, id.Checkpoint, []connector.Committable, bool) error {
	return nil
}
func (committer) Abort(context.Context, []connector.Committable) error { return nil }
func (committer) Close() error                                         { return nil }
