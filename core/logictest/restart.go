package logictest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser"
)

const (
	// lookEvery is how often a running job is asked for its checkpoints.
	lookEvery = 2 * time.Millisecond
	// keptQuery and keptRows are the names of a query, and of the sink that keeps its changes.
	keptQuery, keptRows = "kept_query", "kept_rows"
)

// killable is a statement whose job is killed: one that writes tables, or a query.
type killable struct {
	rec   *record
	text  string
	query string // what a query's view is made of
}

// writes reports a statement that writes tables.
func writes(s ast.Statement) bool {
	switch s := s.(type) {
	case *ast.Insert, *ast.StatementSet:
		return true
	case *ast.Execute:
		return writes(s.Statement)
	default:
		return false
	}
}

// kills returns what a record has to be killed, nil for nothing.
func (r *run) kills(rec *record, text string) *killable {
	statement, err := parser.ParseStatement(text)
	if len(r.lives) == 0 || rec.failure != nil || err != nil {
		return nil
	}
	if writes(statement) {
		return &killable{rec: rec, text: text}
	}
	query, ok := statement.(ast.Query)
	if !ok || rec.kind != queryRecord {
		return nil
	}
	k := &killable{rec: rec, text: "INSERT INTO " + keptRows + " SELECT * FROM " + keptQuery, query: text}
	if o, ok := query.(*ast.OrderedQuery); ok && o.Limit == nil && o.Offset == nil {
		k.query = ast.Text(o.Body, text) // changes have no order
	}
	return k
}

// kill runs a job through its lives, and compares what a query's changes leave.
func (r *run) kill(ctx context.Context, k *killable) error {
	lives := r.lives[r.killed%len(r.lives)]
	r.killed++
	r.around.changes.reset()
	defer r.around.gate.open()
	checkpoints := r.settings["state.checkpoints.dir"] + "/" + strconv.Itoa(r.killed)
	for i, parallelism := range lives {
		settings := map[string]string{"parallelism.default": parallelism, "state.checkpoints.dir": checkpoints}
		if i > 0 {
			if err := r.again(ctx, k.rec); err != nil {
				return err
			}
			settings["execution.state-recovery.path"] = checkpoints
		}
		if r.around.gate.open(); i < len(lives)-1 {
			r.around.gate.shut(1 + (5*r.killed+2*i)%9)
		}
		over, err := r.live(ctx, k, settings)
		if err != nil {
			return fmt.Errorf("life %d: %w", i+1, err)
		}
		if over {
			break
		}
	}
	if k.query == "" {
		return nil
	}
	rows, schema, err := r.around.changes.table()
	if err != nil {
		return err
	}
	unordered := *k.rec
	if unordered.order == exactOrder {
		unordered.order = rowOrder
	}
	return r.compare(&unordered, rows, schema)
}

// again opens a new engine and brings its session to where a record is.
func (r *run) again(ctx context.Context, rec *record) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	for _, before := range r.script.records {
		if before == rec {
			break
		}
		if before.kind != statementRecord || before.failure != nil {
			continue
		}
		if s, err := parser.ParseStatement(before.text); err != nil || writes(s) {
			continue
		}
		if _, _, err := r.execute(ctx, expand(before.text, r.script, r.dir)); err != nil {
			return fmt.Errorf("again after the restart: %s: %w", before.place(), err)
		}
	}
	return nil
}

// live runs a job under settings that are then taken back, to its end, or until it is
// killed because the gate is shut and it has a checkpoint.
func (r *run) live(ctx context.Context, k *killable, settings map[string]string) (over bool, err error) {
	for key, value := range settings {
		if err := r.set(ctx, key, value); err != nil {
			return false, err
		}
	}
	if k.query != "" {
		if err := r.keep(ctx, k); err != nil {
			return false, err
		}
	}
	statement, err := parser.ParseStatement(k.text)
	if err != nil {
		return false, err
	}
	result, err := r.session.Execute(ctx, k.text, statement)
	if err != nil {
		return false, err
	}
	if !result.Live() {
		r.around.gate.open()
	}
	if over, err = r.interrupt(ctx, result); !over || err != nil {
		return over, err
	}
	for key := range settings {
		if err := r.set(ctx, key, r.settings[key]); err != nil {
			return false, err
		}
	}
	if k.query != "" {
		for _, drop := range []string{"DROP TABLE " + keptRows, "DROP TEMPORARY VIEW " + keptQuery} {
			if _, _, err := r.execute(ctx, drop); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// set changes a setting of the session; an empty value is its default.
func (r *run) set(ctx context.Context, key, value string) error {
	text := fmt.Sprintf("SET '%s' = '%s'", key, value)
	if value == "" {
		text = fmt.Sprintf("RESET '%s'", key)
	}
	_, _, err := r.execute(ctx, text)
	return err
}

// keep makes the view of a query, and the sink that its changes go to.
func (r *run) keep(ctx context.Context, k *killable) error {
	columns := make([]string, len(k.rec.types))
	for i := range columns {
		columns[i] = "c" + strconv.Itoa(i)
	}
	if _, _, err := r.execute(ctx, fmt.Sprintf("CREATE TEMPORARY VIEW %s (%s) AS %s", keptQuery, strings.Join(columns, ", "), k.query)); err != nil {
		return err
	}
	described, _, err := r.execute(ctx, "DESCRIBE "+keptQuery)
	if err != nil {
		return err
	}
	for i, row := range described {
		columns[i] += " " + strings.TrimSuffix(row[1], " NOT NULL")
	}
	_, _, err = r.execute(ctx, fmt.Sprintf("CREATE TABLE %s (%s) WITH ('connector' = '%s')", keptRows, strings.Join(columns, ", "), changesName))
	return err
}

// interrupt waits for a job's end, or where the gate is shut for a checkpoint, under which
// it ends the engine.
func (r *run) interrupt(ctx context.Context, result client.Result) (over bool, err error) {
	ended := make(chan error, 1)
	go func() {
		for {
			b, err := result.Next(ctx)
			if err != nil {
				ended <- err
				return
			}
			b.Release()
		}
	}()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return true, errors.Join(err, result.Close())
		case <-look.C:
			if !r.around.gate.isShut() || result.Progress().Checkpoints == 0 {
				continue
			}
			err := r.stop()
			cause := <-ended
			expected := errors.Is(cause, io.EOF) || failure.Of(cause) == failure.Cancelled || errors.Is(cause, rpc.ErrNotLeader)
			if cause != nil && !expected { // an engine that ends has no master that leads
				err = errors.Join(err, fmt.Errorf("before the restart: %w", cause))
			}
			return false, err
		}
	}
}
