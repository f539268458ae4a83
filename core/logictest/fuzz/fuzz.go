package fuzz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/client"
)

// Options say what is run.
type Options struct {
	// Open starts an engine with settings; every round has its own.
	Open func(settings map[string]string) (client.Engine, error)
	// DuckDB is the path of the oracle's binary.
	DuckDB string
	// Dir is an empty directory for tables.
	Dir string
	// Seed makes everything.
	Seed uint64
	// Rounds is how many rounds run; 0 goes on until the context ends.
	Rounds int
	// Statements is how many statements a round has; 0 takes 1000.
	Statements int
	// Workers is how many rounds run at the same time; 0 takes 2.
	Workers int
	// OnlyRound and OnlyStatement name one statement, to see it again; they count
	// if Only is set.
	Only                     bool
	OnlyRound, OnlyStatement int
	// MaxDifferences ends the run; 0 takes 1.
	MaxDifferences int
	// Found is told of each difference as it is found, by one goroutine at a time;
	// may be nil.
	Found func(Difference)

	functions map[kind][]function
}

// Difference is a statement to which the two sides give different answers.
type Difference struct {
	Seed             uint64
	Round, Statement int
	Settings         map[string]string
	What             string // is different
	Original         string // the statement as it was generated
	Ours, Duck       string // after shrinking, for each side
	OurRows          [][]string
	DuckRows         [][]string
	Data             []string // makes the tables, with the rows that it needs
	Stored           bool     // it is gone where the tables are views over VALUES
}

// Tally counts statements with the same message.
type Tally struct {
	Count int
	First string // the first of them, as ROUND/STATEMENT
}

func (t *Tally) String() string { return fmt.Sprintf("%d (%s)", t.Count, t.First) }

func add(m map[string]*Tally, message, name string) {
	key := particular.ReplaceAllString(message, "#")
	if m[key] == nil {
		m[key] = &Tally{First: name}
	}
	m[key].Count++
}

// Report counts.
type Report struct {
	Statements  int               // that ran
	Answered    int               // by both sides
	Empty       int               // of them without rows
	Spilled     int               // of them that spilled here
	Refused     map[string]*Tally // not supported here, or no memory for it, by message
	Unanswered  map[string]*Tally // errors of DuckDB, by message
	Differences []Difference
	Named       string // the only statement and how it went, where one was wanted
	Rounds      int
	Elapsed     time.Duration

	mu sync.Mutex
}

// Name has the run be of one statement: ROUND/STATEMENT.
func (o *Options) Name(statement string) error {
	o.Only = true
	if _, err := fmt.Sscanf(statement, "%d/%d", &o.OnlyRound, &o.OnlyStatement); err != nil {
		return fmt.Errorf("%q is no statement: want ROUND/STATEMENT: %w", statement, err)
	}
	return nil
}

// Run runs rounds until the context or their number ends, or there are enough
// differences. The error is one of running, not of what was found.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Statements == 0 {
		o.Statements = 1000
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.MaxDifferences == 0 {
		o.MaxDifferences = 1
	}
	o.functions = functionTable()
	report := &Report{Refused: map[string]*Tally{}, Unanswered: map[string]*Tally{}}
	began := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var next atomic.Int64
	next.Store(int64(o.OnlyRound))
	wanted := -1
	if o.Only {
		o.Rounds, o.Workers, wanted = o.OnlyRound+1, 1, o.OnlyStatement
	}
	failures := make([]error, o.Workers)
	var workers sync.WaitGroup
	for i := range failures {
		workers.Go(func() {
			failures[i] = o.work(ctx, i, &next, wanted, report)
			if failures[i] != nil || report.full(o) {
				stop()
			}
		})
	}
	workers.Wait()
	report.Elapsed = time.Since(began)
	return report, errors.Join(failures...)
}

// work is one worker: rounds one after the other, with one DuckDB.
func (o Options) work(ctx context.Context, worker int, next *atomic.Int64, wanted int, report *Report) (err error) {
	dir := filepath.Join(o.Dir, fmt.Sprint("worker", worker))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("create a directory for tables: %w", err)
	}
	process, err := startDuck(context.WithoutCancel(ctx), o.DuckDB, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.close()) }()
	for ctx.Err() == nil && !report.full(o) {
		number := int(next.Add(1)) - 1
		if o.Rounds > 0 && number >= o.Rounds {
			return nil
		}
		r := round{o: o, number: number, dir: filepath.Join(dir, fmt.Sprint("round", number)), duck: process, report: report}
		if err := r.run(ctx, wanted); err != nil && ctx.Err() == nil {
			return fmt.Errorf("round %d: %w", number, err)
		}
		if err := os.RemoveAll(r.dir); err != nil {
			return fmt.Errorf("remove the tables of a round: %w", err)
		}
		report.round()
	}
	return nil
}

func (r *Report) count(name string, here outcome, there answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Statements++
	switch {
	case here.refused:
		add(r.Refused, here.failure, name)
	case there.failure != "":
		add(r.Unanswered, there.failure, name)
	default:
		r.Answered++
		if len(there.rows) == 0 {
			r.Empty++
		}
		if here.spilled > 0 {
			r.Spilled++
		}
	}
}

// add takes a difference, and tells whether the run goes on.
func (r *Report) add(d Difference, o Options) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.Differences) < o.MaxDifferences {
		r.Differences = append(r.Differences, d)
		if o.Found != nil {
			o.Found(d)
		}
	}
	return len(r.Differences) < o.MaxDifferences
}

func (r *Report) full(o Options) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.Differences) >= o.MaxDifferences
}

func (r *Report) round() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Rounds++
}

// String is the counts as lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d statements in %d rounds, %.1f s: %.0f a second; %d answered by both, %d of them without rows, %d spilled; %d differences\n",
		r.Statements, r.Rounds, r.Elapsed.Seconds(), float64(r.Statements)/r.Elapsed.Seconds(), r.Answered, r.Empty, r.Spilled, len(r.Differences))
	for _, part := range []struct {
		title  string
		counts map[string]*Tally
	}{{"not supported here", r.Refused}, {"an error of DuckDB", r.Unanswered}} {
		keys := slices.SortedFunc(maps.Keys(part.counts), func(a, b string) int { return part.counts[b].Count - part.counts[a].Count })
		for i, key := range keys {
			if i == 12 {
				break
			}
			fmt.Fprintf(&b, "%14s %s: %s\n", part.counts[key], part.title, key)
		}
	}
	return b.String() + r.Named
}

const shownRows = 12

// String is everything that is needed to see the difference again.
func (d Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, round %d, statement %d, %v\n%s\n", d.Seed, d.Round, d.Statement, d.Settings, d.What)
	for _, line := range d.Data {
		fmt.Fprintf(&b, "%s\n", line)
	}
	fmt.Fprintf(&b, "-- as generated: %s\n-- here:\n%s;\n", d.Original, d.Ours)
	if d.Duck != d.Ours {
		fmt.Fprintf(&b, "-- DuckDB:\n%s;\n", d.Duck)
	}
	for _, side := range []struct {
		name string
		rows [][]string
	}{{"here", d.OurRows}, {"DuckDB", d.DuckRows}} {
		fmt.Fprintf(&b, "-- rows %s: %d\n", side.name, len(side.rows))
		for i, row := range side.rows {
			if i == shownRows {
				b.WriteString("--   ...\n")
				break
			}
			fmt.Fprintf(&b, "--   %s\n", strings.ReplaceAll(strings.Join(row, " | "), nullMark, "NULL"))
		}
	}
	return b.String()
}
