package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// burstScenarios are about many jobs at a time.
func burstScenarios() []Scenario {
	return []Scenario{{
		Name: "burst", Long: true,
		Shows: "many jobs with graphs of 200 KB come at once, the leader of three masters dies with its disk: each is listed and has run once",
		shape: Shape{Masters: 3, Workers: 2, Shuffles: 1}, play: playBurst,
	}}
}

const (
	// burstJobs, burstClients: see Options.
	burstJobs    = 1000
	burstClients = 100
	// graphBytes is how large each job's graph is at least.
	graphBytes = 200_000
	// burstPatience is how long all of it may take.
	burstPatience = 15 * time.Minute
	// burstDown is how long a killed master stays away at most.
	burstDown = 3 * time.Second
)

// burst is many jobs on three masters, of which the leading one loses its disk.
type burst struct {
	Options
	c      *cluster
	table  string // its folder
	random *rand.Rand
	clients
	watch watch

	killed   *node
	killedAt int           // jobs that clients had been told of
	led      time.Duration // from the kill until another master answers
	rejoined time.Duration // from the kill until there are three masters again
	finished time.Duration // from the first submission until no job runs or waits
	defects  []string
}

// playBurst submits many jobs with large graphs at once to three masters, ends the
// leading one by kill -9 in the middle, deletes its disk and lets it join again, and wants
// every job that a client was told of, and no other, listed and run once, by the new
// leader and by the one after it.
func playBurst(ctx context.Context, t *telling) error {
	ctx, stop := context.WithTimeout(ctx, burstPatience)
	defer stop()
	b := &burst{Options: t.options, c: t.cluster, table: t.output, random: rand.New(rand.NewPCG(t.options.Seed, 0))}
	b.Jobs, b.Clients = cmp.Or(b.Jobs, burstJobs), cmp.Or(b.Clients, burstClients)
	err := b.run(ctx)
	b.tell(t.say)
	if n := len(b.defects); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d defects, of which the first is: %s", n, b.defects[0]))
	}
	return err
}

func (b *burst) defect(format string, args ...any) {
	b.defects = append(b.defects, fmt.Sprintf(format, args...))
}

func (b *burst) run(ctx context.Context) error {
	if err := os.MkdirAll(b.table, 0o700); err != nil {
		return err
	}
	if err := b.open(b.Options, b.c.masters()); err != nil {
		return err
	}
	defer b.clients.close()
	watching := b.watch.begin(b.c.nodes)
	defer watching()
	begun := time.Now()
	failed := make(chan error, 1)
	hit := b.Jobs/3 + b.random.IntN(b.Jobs/3+1)
	down := time.Duration(b.random.Int64N(int64(burstDown)))
	go func() { failed <- b.behead(ctx, hit, down) }() // received below
	b.submitAll(ctx)
	if err := <-failed; err != nil {
		return err
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	b.finished = time.Since(begun)
	watching()
	for _, text := range b.refused {
		b.defect("a submission was refused: %s", text)
	}
	if err := errors.Join(b.listed(ctx, "the new leader"), b.once(ctx)); err != nil {
		return err
	}
	return b.again(ctx)
}

// behead kills the leading master once so many jobs were accepted, deletes its disk, and
// starts it again as one that joins the others.
func (b *burst) behead(ctx context.Context, hit int, down time.Duration) (err error) {
	for b.accepted.Load() < int64(hit) {
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("wait for %d jobs to be accepted: %d are: %w", hit, b.accepted.Load(), err)
		}
	}
	if b.killed, err = b.leading(ctx); err != nil {
		return err
	}
	if err := b.killed.kill(); err != nil {
		return err
	}
	at := time.Now()
	b.killedAt = int(b.accepted.Load())
	if err := os.RemoveAll(b.killed.dir); err != nil {
		return err
	}
	if _, err := b.leading(ctx); err != nil {
		return err
	}
	b.led = time.Since(at)
	if err := pause(ctx, down-b.led); err != nil {
		return err
	}
	b.killed.masters = append(without(b.killed.masters, b.killed.address), b.killed.address) // the first one would begin a cluster
	if err := b.killed.start(); err != nil {
		return err
	}
	for {
		n, err := b.ask(ctx)
		if err == nil && b.mastersOf(n) == b.c.shape.Masters {
			b.rejoined = time.Since(at)
			return nil
		}
		if err := pause(ctx, readyPause); err != nil {
			return fmt.Errorf("wait for the master without a disk to join: %w", err)
		}
	}
}

// ask lists the nodes within a short time.
func (b *burst) ask(ctx context.Context) (*rpc.NodesReply, error) {
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	return b.observer.Cluster().Nodes(ctx, &rpc.NodesRequest{})
}

func (b *burst) mastersOf(r *rpc.NodesReply) (n int) {
	for _, k := range r.GetNodes() {
		if k.GetRole() == Master.String() {
			n++
		}
	}
	return n
}

// leading is the node of the master that leads, once there is one that lives.
func (b *burst) leading(ctx context.Context) (*node, error) {
	for {
		r, err := b.ask(ctx)
		for _, k := range r.GetNodes() {
			for _, n := range b.c.nodes {
				if k.GetLeader() && n.address == k.GetAddress() && n.alive() {
					return n, nil
				}
			}
		}
		if err := errors.Join(pause(ctx, 10*time.Millisecond), ctx.Err()); err != nil {
			return nil, fmt.Errorf("find the leading master: %w", err)
		}
		if err != nil && ctx.Err() != nil {
			return nil, err
		}
	}
}

// quiet waits until no job runs or waits.
func (b *burst) quiet(ctx context.Context) error {
	for {
		r, err := b.observer.Cluster().ListJobs(ctx, &rpc.ListJobsRequest{Running: true, Most: 1})
		if err == nil && len(r.GetJobs()) == 0 {
			return nil
		}
		if end := pause(ctx, readyPause); end != nil {
			return fmt.Errorf("wait for the jobs to end: %w", errors.Join(end, err))
		}
	}
}

// listed wants exactly those jobs that clients were told of, all finished.
func (b *burst) listed(ctx context.Context, who string) error {
	r, err := b.observer.Cluster().ListJobs(ctx, &rpc.ListJobsRequest{Most: uint32(b.Jobs + 1000)})
	if err != nil {
		return fmt.Errorf("list the jobs of %s: %w", who, err)
	}
	found := map[id.Job]bool{}
	for _, s := range r.GetJobs() {
		jobID := id.Job(s.GetJob())
		found[jobID] = true
		if _, told := b.jobs[jobID]; !told && strings.HasPrefix(s.GetName(), "INSERT") {
			b.defect("%s lists job %v, which no client was told of", who, jobID)
		}
		if s.GetState() != "FINISHED" {
			b.defect("%s lists job %v as %s: %s", who, jobID, s.GetState(), s.GetCause().GetText())
		}
	}
	for jobID, number := range b.jobs {
		if !found[jobID] {
			b.defect("%s does not list job %v, number %d", who, jobID, number)
		}
	}
	return nil
}

// once wants the row of each job once.
func (b *burst) once(ctx context.Context) error {
	a, err := b.Options.ask(ctx, b.create()+"SELECT job, had FROM burst;\n", b.c.masters())
	if err != nil {
		return err
	}
	if a.code != 0 {
		b.defect("the output cannot be read: %v", a)
		return nil
	}
	seen := map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(a.rows), "\n") {
		if i > 0 { // the names of the columns
			seen[line]++
		}
	}
	for number := range b.Jobs {
		row := b.row(number)
		if n := seen[row]; n != 1 {
			b.defect("the output of job %d is there %d times", number, n)
		}
		delete(seen, row)
	}
	for row, n := range seen {
		b.defect("the output has %d rows %q of no job", n, row)
	}
	return nil
}

// again ends the leading master once more: the one that lost its disk is now needed for
// a majority.
func (b *burst) again(ctx context.Context) error {
	second, err := b.leading(ctx)
	if err == nil {
		err = second.kill()
	}
	if err == nil {
		_, err = b.leading(ctx)
	}
	if err != nil {
		b.defect("a second leading master is lost: %v", err)
		return nil
	}
	if err := b.listed(ctx, "the leader after it"); err != nil {
		return err
	}
	if err := errors.Join(second.start(), b.c.ready(ctx)); err != nil {
		return err
	}
	files, err := b.c.leftovers(ctx)
	for _, f := range files {
		b.defect("left: %s", f)
	}
	if err != nil {
		return err
	}
	if err := b.c.stop(); err != nil {
		b.defect("%v", err)
	}
	return nil
}

// mostDefects is how many are told.
const mostDefects = 20

func (b *burst) tell(say func(string, ...any)) {
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	say("seed %d: %d jobs, %d accepted, each with a graph of %d to %d bytes", b.Seed, b.Jobs, b.accepted.Load(), b.least.Load(), b.most.Load())
	say("submitted in %v by %d clients at a time: half of them waited up to %v, the slowest %v", round(b.took), b.Clients, round(b.middle()), round(b.slowest()))
	say("%d submissions got no answer and were repeated by their clients", b.unanswered.Load())
	if b.killed != nil {
		say("%s led and was killed when %d were accepted, and its disk deleted; another answers after %v", b.killed.name, b.killedAt, round(b.led))
		say("three masters again after %v", round(b.rejoined))
	}
	say("all jobs over after %v", round(b.finished))
	b.watch.tell(say)
	for _, d := range b.defects[:min(len(b.defects), mostDefects)] {
		say("DEFECT %s", d)
	}
}

// clients are those who submit, and what they were told.
type clients struct {
	crowd

	accepted, unanswered atomic.Int64
	least, most          atomic.Int64 // bytes of a graph

	mu      sync.Mutex
	jobs    map[id.Job]int // what was accepted, by number
	delays  []time.Duration
	refused []string
	took    time.Duration
}

func (c *clients) slowest() time.Duration {
	if len(c.delays) == 0 {
		return 0
	}
	return slices.Max(c.delays)
}

func (c *clients) middle() time.Duration {
	if len(c.delays) == 0 {
		return 0
	}
	slices.Sort(c.delays)
	return c.delays[len(c.delays)/2]
}
