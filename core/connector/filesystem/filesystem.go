package filesystem

import (
	"context"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// Connector reads and writes directories of files.
type Connector struct {
	fs      *fs.Registry
	formats *formats.Registry
	memos   *memos
}

var (
	_ connector.Connector     = (*Connector)(nil)
	_ connector.OptionChecker = (*Connector)(nil)
)

// New returns the connector over the file systems and formats of a program.
func New(fileSystems *fs.Registry, fmts *formats.Registry) *Connector {
	return &Connector{fs: fileSystems, formats: fmts, memos: newMemos()}
}

// Name implements connector.Connector.
func (c *Connector) Name() string { return Name }

// Enumerator implements connector.Connector.
func (c *Connector) Enumerator(ctx context.Context, s connector.SourceSpec, restored []byte) (connector.Enumerator, error) {
	loc, err := c.locate(s.Table)
	if err != nil {
		return nil, err
	}
	return newEnumerator(ctx, c, loc, s, restored)
}

// Reader implements connector.Connector.
func (c *Connector) Reader(ctx context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	loc, err := c.locate(s.Table)
	if err != nil {
		return nil, err
	}
	return newReader(c, loc, s, env), nil
}

// Writer implements connector.Connector.
func (c *Connector) Writer(_ context.Context, s connector.SinkSpec, env connector.WriterEnv) (connector.Writer, error) {
	loc, err := c.sinkLocation(s)
	if err != nil {
		return nil, err
	}
	return newWriter(loc, s, env)
}

// Committer implements connector.Connector.
func (c *Connector) Committer(ctx context.Context, s connector.SinkSpec) (connector.Committer, error) {
	loc, err := c.sinkLocation(s)
	if err != nil {
		return nil, err
	}
	return newCommitter(ctx, loc, s)
}
