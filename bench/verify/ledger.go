package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datastream/ledger"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// What the ledger runs with: each split's transfers, and how many come a second; of one job
// in peace that is 20 seconds.
const (
	ledgerTransfers = 2000
	ledgerRate      = 200
	ledgerWidth     = 4 // its parallelism
)

// ledgerPatience is how long a checkpoint, or the end, of a job that nobody disturbs may take.
const ledgerPatience = 90 * time.Second

// ledgerRun kills what runs ledger jobs, one job after the other.
type ledgerRun struct {
	*stage
	random  *rand.Rand
	dir     string
	pages   map[*node]string // where each master shows jobs
	client  *http.Client
	token   string
	total   ledger.Report
	kills   map[Role]int
	moments map[moment]int // in which they were killed
	stops   int            // SIGSTOPs
	longer  time.Duration  // the longest wait for a checkpoint behind a kill
	down    map[*node]bool // that were killed and not started again
}

// books are those of one job and of the ones that go on from its savepoints.
type books struct {
	job
	number, savepoints int
	// ending says that it was killed while it ended.
	ending bool
}

// RunLedger has a cluster of three masters, three workers and a shuffle server run ledger
// jobs, kills workers, the leader and the shuffle server at random moments and at chosen ones,
// starts them again, and checks the books of each job.
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
	r := &ledgerRun{
		stage: &stage{cluster: c}, random: rand.New(rand.NewPCG(o.Seed, 1)), dir: dir, pages: map[*node]string{},
		client: &http.Client{Timeout: 5 * time.Second}, kills: map[Role]int{}, moments: map[moment]int{}, down: map[*node]bool{},
	}
	defer r.client.CloseIdleConnections()
	if err := r.dress(); err != nil {
		return err
	}
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
	token, err := os.ReadFile(filepath.Join(o.Scratch, "home", "token")) // which the first process has made
	if err != nil {
		return err
	}
	r.token = strings.TrimSpace(string(token))
	for n := 1; r.killed() < o.Kills; n++ {
		if err := r.job(ctx, n); err != nil {
			return fmt.Errorf("job %d, after %d kills: %w; logs are in %s", n, r.killed(), err, c.logs())
		}
	}
	r.sum(time.Since(start))
	if !r.total.Right() {
		return fmt.Errorf("the books are wrong: %v", r.total)
	}
	return os.RemoveAll(dir)
}

// dress has workers run the ledger's program, and masters show jobs.
func (r *ledgerRun) dress() error {
	for _, n := range r.of(Worker) {
		n.binary, n.env = r.options.Program, ledgerEnvironment("")
	}
	for _, n := range r.of(Master) {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		r.pages[n], n.more = address, []string{"--http", address}
	}
	return nil
}

func (r *ledgerRun) killed() (n int) {
	for _, k := range r.kills {
		n += k
	}
	return n
}

// sum prints what there was.
func (r *ledgerRun) sum(took time.Duration) {
	var at []string
	for _, m := range slices.Sorted(maps.Keys(r.moments)) {
		at = append(at, fmt.Sprintf("%d %v", r.moments[m], m))
	}
	r.say("%d kills (%d of workers, %d of masters, %d of shuffle servers; %s), %d stops and continues, under %d transfers in %v: lost %d, duplicated %d, wrong %d; longest wait for a checkpoint %v",
		r.killed(), r.kills[Worker], r.kills[Master], r.kills[Shuffle], strings.Join(at, ", "), r.stops, r.total.Transfers, took.Round(time.Second),
		r.total.Lost, r.total.Duplicated, r.total.Wrong, r.longer.Round(time.Millisecond))
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
	b := &books{number: n, job: job{dir: filepath.Join(r.dir, fmt.Sprintf("books-%d", n))}}
	if err := r.begin(ctx, b, ""); err != nil {
		return err
	}
	killed, begun := r.killed(), time.Now()
	last, events := begun, 0 // of what was done to it
	for {
		now, err := r.ask(ctx, b.job)
		if err != nil {
			return err
		}
		if now.Over {
			if now.State != "FINISHED" {
				return errors.Join(fmt.Errorf("the job ended as %s", now.State), r.explain(ctx, b.job))
			}
			break
		}
		if err := r.disturb(ctx, b, now); err != nil {
			return errors.Join(err, r.explain(ctx, b.job))
		}
		if err := r.crashed(); err != nil {
			return err
		}
		if n := r.killed() + r.stops; n != events {
			last, events = time.Now(), n
		}
		if time.Since(last) > ledgerPatience {
			return errors.Join(fmt.Errorf("the job does not end within %v", ledgerPatience), r.explain(ctx, b.job))
		}
	}
	report, err := ledger.Check(ledger.Options{Dir: b.dir, Transfers: ledgerTransfers, Rate: ledgerRate})
	if err != nil {
		return err
	}
	r.total.Transfers += report.Transfers
	r.total.Lost, r.total.Duplicated, r.total.Wrong = r.total.Lost+report.Lost, r.total.Duplicated+report.Duplicated, r.total.Wrong+report.Wrong
	r.say("job %d, %d kills in %v: %v", n, r.killed()-killed, time.Since(begun).Round(time.Second), report)
	if !report.Right() {
		return fmt.Errorf("the books in %s are wrong", b.dir)
	}
	return nil
}

// begin submits a job, which goes on from a savepoint if there is one; a cluster that loses
// its leader meanwhile is asked again.
func (r *ledgerRun) begin(ctx context.Context, b *books, savepoint string) error {
	args := []string{
		"submit", "--cluster", strings.Join(r.masters(), ","), "-p", fmt.Sprint(ledgerWidth),
		"-D", "execution.checkpointing.interval=300 ms", "-D", "state.checkpoints.dir=" + filepath.Join(b.dir, "checkpoints"),
		"-D", "restart-strategy.type=fixed-delay", "-D", "restart-strategy.fixed-delay.attempts=100000", "-D", "restart-strategy.fixed-delay.delay=100 ms",
		"-D", "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling=1 s",
		"-D", "jobmanager.adaptive-scheduler.rescale.standby-min-size=1 b", // state is restored ahead
	}
	if savepoint != "" {
		args = append(args, "-D", "execution.state-recovery.path="+savepoint)
	}
	ctx, stop := context.WithTimeout(ctx, r.options.Patience)
	defer stop()
	cmd := exec.CommandContext(ctx, r.options.Program, args...)
	cmd.Env = append(r.options.environment(""), ledgerEnvironment(b.dir)...)
	var printed, notes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &notes
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("submit the ledger: %w: %s", err, notes.String())
	}
	b.id = strings.TrimSpace(printed.String())
	return nil
}

// ask asks for a job until somebody knows it: masters are killed, too.
func (r *ledgerRun) ask(ctx context.Context, j job) (now rest.Job, err error) {
	deadline := time.Now().Add(ledgerPatience)
	for {
		for _, n := range r.of(Master) {
			if r.down[n] {
				continue
			}
			if now, err = r.page(ctx, r.pages[n], j); err == nil {
				return now, nil
			}
		}
		if time.Now().After(deadline) {
			return now, errors.Join(err, r.explain(ctx, j))
		}
		if err := pause(ctx, ledgerPause); err != nil {
			return now, err
		}
	}
}

// page asks one master for a job.
func (r *ledgerRun) page(ctx context.Context, address string, j job) (now rest.Job, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/jobs/"+j.id, nil)
	if err != nil {
		return now, err
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	reply, err := r.client.Do(q)
	if err != nil {
		return now, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return now, fmt.Errorf("job %s at %s: %s", j.id, address, reply.Status)
	}
	return now, json.NewDecoder(reply.Body).Decode(&now)
}

// explain is an error that tells all that is known of a job that hangs or has failed: what it
// waits for, its checkpoints, and what the processes have logged last.
func (r *ledgerRun) explain(ctx context.Context, j job) error {
	all := []error{r.describe(ctx, []job{j})}
	for _, verb := range []string{"why", "checkpoints"} {
		text, err := r.call(ctx, "", verb, j.id)
		all = append(all, fmt.Errorf("%s:\n%s", verb, text), err)
	}
	for _, n := range r.nodes {
		if n.pid() != 0 {
			all = append(all, fmt.Errorf("%s, alive %v, in %s:\n%s", n.name, n.alive(), n.logFile(), n.lastWords()))
		}
	}
	return errors.Join(all...)
}

// crashed tells of a process that has ended and that nobody has killed.
func (r *ledgerRun) crashed() error {
	for _, n := range r.nodes {
		if !r.down[n] && !n.alive() {
			return fmt.Errorf("%s ended by itself: %w; it said: %s", n.name, n.ending(), n.lastWords())
		}
	}
	return nil
}
