package fuzz

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// batch is how many statements go to DuckDB at once.
const batch = 50

const smallMemory = "worker.memory.size"

// waysToRun are settings of which none may change a result.
func waysToRun() []map[string]string {
	return []map[string]string{
		{"parallelism.default": "1"},
		{"parallelism.default": "4", "worker.slots": "4"},
		{"parallelism.default": "2", "execution.batch-rows": "3"},
		{"parallelism.default": "1", "execution.batch-rows": "1"},
		{"parallelism.default": "4", "worker.slots": "4", "exchange.batch-retention": "job"},
		{"parallelism.default": "2", "execution.batch-rows": "64", smallMemory: "400 kb"},
		{"parallelism.default": "2", "table.optimizer.join.broadcast-threshold": "1 b"},
	}
}

// round is some tables, one way to run, and statements over them.
type round struct {
	o        Options
	number   int
	dir      string
	settings map[string]string
	tables   []*table
	duck     *duckProcess
	session  client.Session
	report   *Report
}

// run is the whole round; wanted is the only statement, or -1.
func (r *round) run(ctx context.Context, wanted int) (err error) {
	random := rand.New(rand.NewPCG(r.o.Seed, uint64(r.number)))
	r.settings = pick(random, waysToRun()...)
	r.tables = newTables(random, r.large())
	engine, err := r.o.Open(r.settings)
	if err != nil {
		return fmt.Errorf("open the engine: %w", err)
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	if r.session, err = engine.Open(ctx, r.settings); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	defer func() { err = errors.Join(err, r.session.Close()) }()
	if err := r.load(ctx); err != nil {
		return err
	}
	if wanted >= 0 {
		return r.some(ctx, wanted, 1)
	}
	for first := 0; first < r.o.Statements && ctx.Err() == nil; first += batch {
		if err := r.some(ctx, first, min(batch, r.o.Statements-first)); err != nil {
			return err
		}
	}
	return nil
}

// large reports whether a table may be large: not with batches of few rows.
func (r *round) large() bool {
	return r.settings["execution.batch-rows"] == "" || r.settings[smallMemory] != ""
}

// newTables are a small one first, then larger and odd ones. Large ones are for
// batches of the usual size.
func newTables(r *rand.Rand, large bool) (tables []*table) {
	most := 60
	if large {
		most = pick(r, 100, 300, 1500)
	}
	for i, rows := range []int{pick(r, 3, 6, 9), 10 + r.IntN(20), 20 + r.IntN(40), 20 + r.IntN(40), pick(r, 0, 1, 2), most} {
		t := newTable(r, fmt.Sprintf("tab%d", i), rows)
		t.storage = pick(r, oneFile, oneFile, threeFiles, smallGroups, arrowFile)
		if rows < 10 {
			t.storage = values
		}
		tables = append(tables, t)
	}
	return tables
}

// load makes the tables on both sides.
func (r *round) load(ctx context.Context) error {
	var b strings.Builder
	for _, t := range r.tables {
		if err := os.MkdirAll(filepath.Join(r.dir, t.name), 0o755); err != nil {
			return fmt.Errorf("create the directory of a table: %w", err)
		}
		b.WriteString(strings.Join(t.duckStatements(r.dir), ";\n") + ";\n")
	}
	if _, err := r.duck.ask(nil, b.String()); err != nil {
		return err
	}
	for _, t := range r.tables {
		for _, s := range t.ourStatements(r.dir) {
			if _, _, err := execute(ctx, r.session, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
	}
	return nil
}

// generate is one statement by its number.
func (r *round) generate(number int) *relation {
	seed := rand.NewPCG(r.o.Seed+uint64(r.number)<<20, uint64(number))
	g := &generator{Rand: rand.New(seed), tables: r.tables, functions: r.o.functions}
	return g.statement()
}

// some runs statements on both sides at the same time and compares.
func (r *round) some(ctx context.Context, first, n int) error {
	statements := make([]*relation, n)
	texts := make([]string, n)
	for i := range statements {
		statements[i] = r.generate(first + i)
		texts[i] = statements[i].node.text(duck)
	}
	type said struct {
		answers []answer
		err     error
	}
	there := make(chan said, 1)
	go func() {
		answers, err := r.duck.ask(texts, "")
		there <- said{answers, err}
	}()
	here := make([]outcome, n)
	for i, s := range statements {
		here[i] = r.here(ctx, s.node.text(ours))
	}
	theirs := <-there
	if theirs.err != nil {
		return theirs.err
	}
	if ctx.Err() != nil {
		return nil
	}
	if r.o.Only {
		r.report.Named = fmt.Sprintf("%v\n%s;\n%s;\nhere: %d rows %s\nDuckDB: %d rows %s", r.settings, statements[0].node.text(ours), texts[0],
			len(here[0].rows), here[0].failure, len(theirs.answers[0].rows), theirs.answers[0].failure)
	}
	for i, s := range statements {
		what := r.judge(s, here[i], theirs.answers[i])
		r.report.count(fmt.Sprintf("%d/%d", r.number, first+i), here[i], theirs.answers[i])
		if what == "" {
			continue
		}
		d := r.shrunk(ctx, first+i, s, what)
		if !r.report.add(d, r.o) {
			return nil
		}
	}
	return nil
}

// outcome is an answer of this engine; refused is set where it says that it
// does not support something.
type outcome struct {
	answer
	kinds   []kind
	refused bool
}

func (r *round) here(ctx context.Context, statement string) outcome {
	a, kinds, err := execute(ctx, r.session, statement)
	if err == nil {
		return outcome{answer: a, kinds: kinds}
	}
	var wrong *sqlerr.Error
	text := err.Error()
	refused := errors.As(err, &wrong) && wrong.Code == sqlerr.Unsupported || r.settings[smallMemory] != "" && strings.Contains(text, "memory exhausted")
	if wrong != nil {
		text, _, _ = strings.Cut(text, "\n")
	}
	return outcome{answer: answer{failure: text}, refused: refused}
}

// judge tells what is wrong with an outcome, "" if nothing.
func (r *round) judge(s *relation, here outcome, there answer) string {
	switch {
	case there.failure != "" || here.refused:
		return ""
	case here.failure != "":
		return failed + here.failure
	}
	ordered := s.order != nil && reachable(s.node, s.order)
	if d := compare(here.kinds, ordered, cloned(here.rows), cloned(there.rows)); d != "" {
		return d
	}
	return ""
}

func cloned(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		out[i] = slices.Clone(row)
	}
	return out
}

func reachable(root, wanted *node) (found bool) {
	root.every(func(n *node) { found = found || n == wanted })
	return found
}
