package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datastream/ledger"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// What the ledger runs with: each split's transfers, and how many come a second; of one
// job in peace that is half a minute.
const (
	ledgerTransfers = 6000
	ledgerRate      = 200
)

// What a kill is followed by.
const (
	ledgerAway     = 1500 * time.Millisecond // at most, before the process is started again
	ledgerCalm     = 2 * time.Second         // at most, before the next kill
	ledgerPatience = 2 * time.Minute         // for a checkpoint, or the end, of a job nobody disturbs
)

// ledgerRun kills what runs ledger jobs, one job after the other.
type ledgerRun struct {
	*stage
	random *rand.Rand
	dir    string
	most   int // kills
	kills  map[Role]int
	killed int
	total  ledger.Report
	longer time.Duration // the longest wait for a checkpoint behind a kill
}

// RunLedger has a cluster of three masters, three workers and a shuffle server run ledger
// jobs, kills workers, the leader and the shuffle server at random moments, starts them
// again, and checks the books of each job.
func RunLedger(ctx context.Context, o Options) (err error) {
	if o, err = o.complete(); err != nil {
		return err
	}
	if o.Program, err = filepath.Abs(o.Program); err != nil {
		return failure.Wrap(failure.Usage, err)
	}
	dir := filepath.Join(o.Scratch, "ledger-run")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	c, err := newCluster(o, Shape{Masters: 3, Workers: 3, Shuffles: 1}, dir)
	if err != nil {
		return err
	}
	for _, n := range c.of(Worker) {
		n.binary, n.env = o.Program, ledgerEnvironment("")
	}
	r := &ledgerRun{stage: &stage{cluster: c}, random: rand.New(rand.NewPCG(o.Seed, 1)), dir: dir, most: o.Kills, kills: map[Role]int{}}
	start := time.Now()
	defer func() {
		if err != nil {
			err = errors.Join(err, c.dumpAll())
		}
		err = errors.Join(err, c.killAll())
	}()
	if err := c.start(ctx); err != nil {
		return err
	}
	for n := 1; r.killed < r.most; n++ {
		if err := r.job(ctx, n); err != nil {
			return fmt.Errorf("job %d, after %d kills: %w; logs are in %s", n, r.killed, err, c.logs())
		}
	}
	r.say("%d kills (%d of workers, %d of masters, %d of shuffle servers) under %d transfers in %v: lost %d, duplicated %d, wrong %d; longest wait for a checkpoint %v",
		r.killed, r.kills[Worker], r.kills[Master], r.kills[Shuffle], r.total.Transfers, time.Since(start).Round(time.Second),
		r.total.Lost, r.total.Duplicated, r.total.Wrong, r.longer.Round(time.Millisecond))
	if !r.total.Right() {
		return fmt.Errorf("the books are wrong: %v", r.total)
	}
	return os.RemoveAll(dir)
}

func (r *ledgerRun) say(format string, args ...any) {
	fmt.Fprintf(r.options.Out, format+"\n", args...)
}

// ledgerEnvironment is what every process of the ledger job is told; where it writes, the
// one that submits it alone.
func ledgerEnvironment(dir string) []string {
	return []string{fmt.Sprintf("LEDGER_TRANSFERS=%d", ledgerTransfers), fmt.Sprintf("LEDGER_RATE=%d", ledgerRate), "LEDGER_DIR=" + dir}
}

// job runs a job to its end, kills what runs it meanwhile, and checks its books.
func (r *ledgerRun) job(ctx context.Context, n int) error {
	books := filepath.Join(r.dir, fmt.Sprintf("books-%d", n))
	j, err := r.begin(ctx, books)
	if err != nil {
		return err
	}
	before := r.killed
	for {
		now, err := r.ask(ctx, j)
		if err != nil {
			return err
		}
		if now.Over {
			if now.State != "FINISHED" {
				return errors.Join(fmt.Errorf("the job ended as %s", now.State), r.describe(ctx, []job{j}))
			}
			break
		}
		if err := r.disturb(ctx, j, now); err != nil {
			return err
		}
	}
	report, err := ledger.Check(ledger.Options{Dir: books, Transfers: ledgerTransfers, Rate: ledgerRate})
	if err != nil {
		return err
	}
	r.total.Transfers += report.Transfers
	r.total.Lost, r.total.Duplicated, r.total.Wrong = r.total.Lost+report.Lost, r.total.Duplicated+report.Duplicated, r.total.Wrong+report.Wrong
	r.say("job %d, %d kills: %v", n, r.killed-before, report)
	if !report.Right() {
		return fmt.Errorf("the books in %s are wrong", books)
	}
	return nil
}

// begin submits a job; a cluster that loses its leader meanwhile is asked again.
func (r *ledgerRun) begin(ctx context.Context, books string) (j job, err error) {
	args := []string{
		"submit", "--cluster", strings.Join(r.masters(), ","), "-p", "4",
		"-D", "execution.checkpointing.interval=500 ms", "-D", "state.checkpoints.dir=" + filepath.Join(books, "checkpoints"),
		"-D", "restart-strategy.type=fixed-delay", "-D", "restart-strategy.fixed-delay.attempts=100000", "-D", "restart-strategy.fixed-delay.delay=100 ms",
	}
	ctx, stop := context.WithTimeout(ctx, r.options.Patience)
	defer stop()
	cmd := exec.CommandContext(ctx, r.options.Program, args...)
	cmd.Env = append(r.options.environment(""), ledgerEnvironment(books)...)
	var printed, notes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &notes
	if err := cmd.Run(); err != nil {
		return j, fmt.Errorf("submit the ledger: %w: %s", err, notes.String())
	}
	return job{id: strings.TrimSpace(printed.String()), dir: books}, nil
}

// ask asks for a job until somebody knows it: masters are killed, too.
func (r *ledgerRun) ask(ctx context.Context, j job) (now rest.Job, err error) {
	deadline := time.Now().Add(ledgerPatience)
	for {
		if now, err = r.get(ctx, j); err == nil || time.Now().After(deadline) {
			return now, err
		}
		if err := pause(ctx, readyPause); err != nil {
			return now, err
		}
	}
}

// disturb kills a process, starts it again, and mostly waits until the job has come further.
func (r *ledgerRun) disturb(ctx context.Context, j job, now rest.Job) error {
	if err := pause(ctx, time.Duration(r.random.Int64N(int64(ledgerCalm)))); err != nil {
		return err
	}
	if r.killed >= r.most {
		return pause(ctx, time.Second)
	}
	victim := r.victim(ctx)
	if err := victim.kill(); err != nil {
		return err
	}
	r.killed++
	r.kills[victim.role]++
	if err := pause(ctx, time.Duration(r.random.Int64N(int64(ledgerAway)))); err != nil {
		return err
	}
	if err := victim.start(); err != nil {
		return err
	}
	if r.random.IntN(4) == 0 {
		return nil // the next kill finds the cluster as this one has left it
	}
	begun := time.Now()
	for {
		later, err := r.ask(ctx, j)
		if err != nil {
			return err
		}
		if later.Over || later.Checkpoints != now.Checkpoints && runsWhole(later) {
			r.longer = max(r.longer, time.Since(begun))
			return nil
		}
		if time.Since(begun) > ledgerPatience {
			return errors.Join(fmt.Errorf("no checkpoint within %v of killing %s", ledgerPatience, victim.name), r.describe(ctx, []job{j}))
		}
		if err := pause(ctx, readyPause); err != nil {
			return err
		}
	}
}

// victim is who is killed next: mostly a worker, sometimes the leader or the shuffle server.
func (r *ledgerRun) victim(ctx context.Context) *node {
	workers := r.of(Worker)
	switch n := r.random.IntN(10); {
	case n < 6:
		return workers[r.random.IntN(len(workers))]
	case n < 8:
		return r.of(Shuffle)[0]
	}
	if leads, err := r.leader(ctx); err == nil && leads != nil {
		return leads
	}
	masters := r.of(Master)
	return masters[r.random.IntN(len(masters))]
}
