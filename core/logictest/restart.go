package logictest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// lookEvery is how often a running job is asked for its checkpoints.
const lookEvery = 2 * time.Millisecond

// inserts reports a record that is an INSERT and succeeds.
func (rec *record) inserts() bool {
	s, err := parser.ParseStatement(rec.text)
	if _, insert := s.(*ast.Insert); err != nil || !insert {
		return false
	}
	return rec.failure == nil
}

// restarted runs an INSERT until it has a checkpoint, ends the engine, and runs
// it to its end from there in a new one.
func (r *run) restarted(ctx context.Context, rec *record, text string) error {
	statement, err := parser.ParseStatement(text)
	if err != nil {
		return err
	}
	result, err := r.session.Execute(ctx, text, statement)
	if err != nil {
		return err
	}
	ended, err := r.interrupt(ctx, result)
	if ended || err != nil {
		return err
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	for _, before := range r.script.records {
		if before == rec {
			break
		}
		if before.kind != statementRecord || before.failure != nil || before.inserts() {
			continue
		}
		if _, _, err := r.execute(ctx, expand(before.text, r.script, r.dir)); err != nil {
			return fmt.Errorf("again after the restart: %s: %w", before.place(), err)
		}
	}
	for _, s := range []string{
		"SET 'execution.state-recovery.path' = '" + expand(checkpointDir, r.script, r.dir) + "'", text, "RESET 'execution.state-recovery.path'",
	} {
		if _, _, err := r.execute(ctx, s); err != nil {
			return fmt.Errorf("after the restart: %w", err)
		}
	}
	return nil
}

// interrupt waits for a checkpoint of a job and ends the engine, unless the job
// ends before.
func (r *run) interrupt(ctx context.Context, result client.Result) (ended bool, err error) {
	over := make(chan error, 1)
	go func() {
		_, err := result.Next(ctx)
		over <- err
	}()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-over:
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return true, errors.Join(err, result.Close())
		case <-look.C:
			if result.Progress().Checkpoints == 0 {
				continue
			}
			err := r.stop()
			cause := <-over
			expected := errors.Is(cause, io.EOF) || failure.Of(cause) == failure.Cancelled || errors.Is(cause, rpc.ErrNotLeader)
			if cause != nil && !expected { // an engine that ends has no master that leads
				err = errors.Join(err, fmt.Errorf("before the restart: %w", cause))
			}
			return false, err
		}
	}
}
