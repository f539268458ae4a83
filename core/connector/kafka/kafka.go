package kafka

import (
	"context"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
)

// Values of the 'connector' option.
const (
	Name       = "kafka"
	UpsertName = "upsert-kafka"
)

// Connector reads and writes topics.
type Connector struct {
	formats *formats.Registry
	upsert  bool
}

var (
	_ connector.Connector     = (*Connector)(nil)
	_ connector.OptionChecker = (*Connector)(nil)
	_ connector.ChangelogSink = (*Connector)(nil)
)

// New returns the connector kafka: messages are rows, which are only added.
func New(f *formats.Registry) *Connector { return &Connector{formats: f} }

// NewUpsert returns the connector upsert-kafka, whose messages are changes by key.
func NewUpsert(f *formats.Registry) *Connector { return &Connector{formats: f, upsert: true} }

// Name implements connector.Connector.
func (c *Connector) Name() string {
	if c.upsert {
		return UpsertName
	}
	return Name
}

// Accepts implements connector.ChangelogSink.
func (c *Connector) Accepts(connector.Table) connector.Changes {
	if c.upsert {
		return connector.Upserts
	}
	return connector.Inserts
}

// Publishes implements connector.Publisher.
func (c *Connector) Publishes(t connector.Table) bool {
	o, err := c.parse(t)
	return err == nil && o.guarantee == exactlyOnce
}

// CheckOptions implements connector.OptionChecker.
func (c *Connector) CheckOptions(t connector.Table) error {
	_, err := c.parse(t)
	return err
}

// Describe implements connector.Connector. It asks no broker.
func (c *Connector) Describe(_ context.Context, t connector.Table, _ *predicate.Predicate) (connector.Description, error) {
	o, err := c.parse(t)
	if err != nil {
		return connector.Description{}, err
	}
	return connector.Description{
		Schema: t.Schema, Changes: c.Accepts(t), Bounded: o.bounded(), ManySplits: true, Rejects: true, Rows: -1, Bytes: -1, Files: -1,
	}, nil
}

// Enumerator implements connector.Connector.
func (c *Connector) Enumerator(ctx context.Context, s connector.SourceSpec, restored []byte) (connector.Enumerator, error) {
	o, err := c.source(s)
	if err != nil {
		return nil, err
	}
	return newEnumerator(ctx, o, s, restored)
}

// Reader implements connector.Connector.
func (c *Connector) Reader(_ context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	o, err := c.source(s)
	if err != nil {
		return nil, err
	}
	return newReader(o, s, env)
}

func (c *Connector) source(s connector.SourceSpec) (*options, error) {
	o, err := c.parse(s.Table)
	if err != nil {
		return nil, err
	}
	return o, o.checkSource()
}

// Writer implements connector.Connector.
func (c *Connector) Writer(ctx context.Context, s connector.SinkSpec, env connector.WriterEnv) (connector.Writer, error) {
	o, err := c.sink(s)
	if err != nil {
		return nil, err
	}
	return newWriter(ctx, o, s, env)
}

// Committer implements connector.Connector.
func (c *Connector) Committer(_ context.Context, s connector.SinkSpec) (connector.Committer, error) {
	o, err := c.sink(s)
	if err != nil {
		return nil, err
	}
	return &committer{o: o}, nil
}

func (c *Connector) sink(s connector.SinkSpec) (*options, error) {
	if s.Overwrite {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: a topic cannot be overwritten", s.Table.Name)
	}
	o, err := c.parse(s.Table)
	if err != nil {
		return nil, err
	}
	return o, o.checkSink()
}
