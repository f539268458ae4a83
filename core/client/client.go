package client

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/stream"
)

// Engine opens sessions. It may be used concurrently.
type Engine interface {
	// Open starts a session with settings by their keys (core/config).
	Open(ctx context.Context, settings map[string]string) (Session, error)
	// Close ends the engine, and with an embedded one every job of it.
	Close() error
}

// Session runs statements one after the other. One goroutine uses it.
type Session interface {
	// Execute runs one statement. Errors of the statement itself are
	// *sqlerr.Error with their place in source, which is the text that the
	// statement was parsed from. The end of ctx cancels the job that it started.
	Execute(ctx context.Context, source string, s ast.Statement) (Result, error)
	// Check parses, binds and plans without running; DDL takes effect, so that
	// later statements of a script can be checked.
	Check(ctx context.Context, source string, s ast.Statement) error
	// Explain returns the plan of a statement as text.
	Explain(ctx context.Context, source string, s ast.Statement) (string, error)
	// Words are the names of tables and functions, for completion.
	Words() []string
	// Close ends the session and cancels its queries; inserts go on.
	Close() error
}

// Result is what a statement gives. One goroutine reads it; Progress may be
// called from another.
type Result interface {
	// Schema is the columns of the rows, empty where there are none.
	Schema() datatype.Schema
	// Live is set where rows come as time goes on: the job is a streaming one, and
	// may never end by itself.
	Live() bool
	// Zone is the session's time zone, in which TIMESTAMP_LTZ is printed.
	Zone() *time.Location
	// Changelog is set where rows may have kinds other than insert.
	Changelog() bool
	// Next returns the next batch, which the caller owns, or io.EOF after the
	// last, once the job has finished. A job's failure is its error.
	Next(ctx context.Context) (*stream.Batch, error)
	// Job is the job that was started; false for statements without one.
	Job() (id.Job, bool)
	// Progress tells how far the job has come.
	Progress() Progress
	// Close ends reading and cancels a query that has not ended; it waits for
	// the job to be gone.
	Close() error
}

// Progress is a job's state and counts so far.
type Progress struct {
	State                    string // of the job, by Flink's names
	RowsIn, RowsOut          int64  // read by sources, written by sinks
	BytesIn, BytesOut        int64
	FilesOut                 int64
	SpilledBytes             int64 // written to disk because it did not fit memory
	SplitsDone, SplitsTotal  int64 // total 0: not known
	TasksRunning, TasksTotal int64
	Checkpoints              int64 // completed
	Restarts                 int64
	Elapsed                  time.Duration
}
