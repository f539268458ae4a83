package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/tidemill/tidemill/bench/tpch/gen"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs/local"
)

// Options say what a run does.
type Options struct {
	// Binary is the program, built with the tag failpoint.
	Binary string
	// Program is the ledger job as a program (examples/ledger), for RunLedger.
	Program string
	// Scratch is a directory for data and clusters; what a run without defects makes
	// there, the data aside, is removed.
	Scratch string
	// Kills is how many processes to kill at least; zero means 20.
	Kills int
	// Seed fixes statements and faults.
	Seed uint64
	// Scale of the data; zero means 0.1. At 1, answers are compared with the official
	// ones.
	Scale float64
	// Data is the directory of TPC-H's tables; empty: it is made in Scratch.
	Data string
	// Queries of TPC-H to draw from; empty means a dozen that shuffle.
	Queries []int
	// Shapes are the clusters, one after the other; empty means one and three masters.
	Shapes []Shape
	// Patience is how long a client may take; zero means two minutes.
	Patience time.Duration
	// Jobs and Clients are those of the scenario burst: how many are submitted, and how many
	// submit at a time; zero means 1,000 and 100.
	Jobs, Clients int
	// StateMB is about how much state the streaming jobs of scenarios have; zero means 64.
	StateMB int
	// Document is a file for the counters as a page; empty: none.
	Document string
	// Out gets a line for each round, and the table.
	Out io.Writer
}

// mostRounds bounds the rounds of a run, for not every fault kills.
const mostRounds = 5

func (o Options) complete() (Options, error) {
	if o.Binary == "" || o.Scratch == "" {
		return o, failure.Errorf(failure.Usage, "a program and a directory to work in are wanted")
	}
	if o.Kills == 0 {
		o.Kills = 20
	}
	if o.StateMB == 0 {
		o.StateMB = 64
	}
	if o.Scale == 0 {
		o.Scale = 0.1
	}
	if len(o.Queries) == 0 {
		o.Queries = []int{1, 3, 4, 5, 7, 9, 10, 12, 13, 16, 18, 21}
	}
	if len(o.Shapes) == 0 {
		o.Shapes = []Shape{{Masters: 1, Workers: 2, Shuffles: 1}, {Masters: 3, Workers: 3, Shuffles: 2}}
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	var err error
	if o.Binary, err = filepath.Abs(o.Binary); err != nil {
		return o, err
	}
	if o.Scratch, err = filepath.Abs(o.Scratch); err != nil {
		return o, err
	}
	return o, os.MkdirAll(o.Scratch, 0o700)
}

// Run does it all and returns what it counted, with an error if there are defects.
func Run(ctx context.Context, o Options) (*Counters, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	start, count := time.Now(), newCounters(o)
	if err := o.prepare(ctx); err != nil {
		return count, err
	}
	statements, err := o.queries(ctx)
	if err != nil {
		return count, err
	}
	random := rand.New(rand.NewPCG(o.Seed, 0))
	for i, shape := range o.Shapes {
		dir := filepath.Join(o.Scratch, fmt.Sprintf("cluster-%d", i+1))
		if err := os.RemoveAll(dir); err != nil {
			return count, err
		}
		r := &run{Options: o, count: count, random: random, statements: statements, until: o.Kills * (i + 1) / len(o.Shapes)}
		if err := r.cluster(ctx, shape, dir); err != nil {
			return count, err
		}
		if len(count.Defects()) == 0 {
			if err := os.RemoveAll(dir); err != nil {
				return count, err
			}
		}
	}
	count.Took = time.Since(start)
	return count, o.report(count)
}

const smallText = 8 << 20

// prepare makes the data unless it is there.
func (o *Options) prepare(ctx context.Context) error {
	if o.Data != "" {
		return nil
	}
	o.Data = filepath.Join(o.Scratch, fmt.Sprintf("tpch-%g", o.Scale))
	done := filepath.Join(o.Data, "_done")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	disk, err := local.New(local.Options{})
	if err != nil {
		return err
	}
	options := gen.Options{Scale: o.Scale}
	if o.Scale != 1 {
		options.TextBytes = smallText // nobody has official answers to compare with
	}
	if err := gen.Write(ctx, disk, o.Data, options); err != nil {
		return fmt.Errorf("make the data: %w", err)
	}
	return os.WriteFile(done, nil, 0o600)
}

func (o Options) report(count *Counters) error {
	err := count.Print(o.Out)
	if o.Document != "" {
		before, _ := os.ReadFile(o.Document) // there may be none
		err = errors.Join(err, os.WriteFile(o.Document, []byte(count.Markdown()+measured(string(before))), 0o644))
	}
	if n := len(count.Defects()); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d defects; logs are in %s", n, o.Scratch))
	}
	if count.Critical()*2 < count.Killed() {
		err = errors.Join(err, fmt.Errorf("%d of %d kills fell into a shuffle, commit, publication or seal: want half", count.Critical(), count.Killed()))
	}
	return err
}
