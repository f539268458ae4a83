package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
)

// run is the rounds of one shape.
type run struct {
	Options
	count      *Counters
	random     *rand.Rand
	statements []statement // the queries
	writes     *overwrite
	until      int // kills
	c          *cluster
	calms      map[string]calm
}

// cluster runs rounds on one cluster until there were enough kills. Its errors are of
// the harness; what the cluster does wrong is counted.
func (r *run) cluster(ctx context.Context, shape Shape, dir string) (err error) {
	if r.c, err = newCluster(r.Options, shape, dir); err != nil {
		return err
	}
	for _, n := range r.c.of(Shuffle) {
		n.memory = scarceMemory
	}
	if err := r.c.interpose(ctx, r.Seed); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.c.killAll(), r.c.close()) }()
	if r.writes, err = r.newOverwrite(ctx, filepath.Join(dir, "output")); err != nil {
		return err
	}
	r.count.Clusters = append(r.count.Clusters, shape.String())
	if err := r.c.start(ctx); err != nil {
		r.count.Refused = append(r.count.Refused, err.Error())
		return nil
	}
	if err := r.inPeace(ctx); err != nil {
		return err
	}
	for rounds := 0; r.count.Killed() < r.until && rounds < mostRounds*(r.Kills+1) && len(r.count.Refused) == 0; rounds++ {
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

// inPeace runs every statement without a fault, to see that all is well, how long it
// takes and which failpoints it passes.
func (r *run) inPeace(ctx context.Context) error {
	r.calms = map[string]calm{}
	for _, m := range modes() {
		for _, s := range append([]statement{r.writes.statement(), r.writes.statement()}, r.statements...) {
			if err := r.once(ctx, m, s); err != nil {
				return err
			}
		}
	}
	return r.sweep(ctx, "in peace")
}

// once runs a statement in peace.
func (r *run) once(ctx context.Context, m mode, s statement) error {
	before, err := r.c.points.Hits()
	if err != nil {
		return err
	}
	a, err := r.ask(ctx, s.script, r.c.masters(), m.settings...)
	if err != nil {
		return err
	}
	hits, err := r.c.points.Hits()
	if err != nil {
		return err
	}
	for name, n := range hits {
		if hits[name] = n - before[name]; hits[name] == 0 {
			delete(hits, name)
		}
	}
	where := fmt.Sprintf("%s, %s, in peace", s.name, m.name)
	r.calms[s.name+m.name] = calm{took: a.took, hits: hits}
	r.say("%s: %v, failpoints %v", where, a.took.Round(time.Millisecond), hits)
	if a.code != 0 {
		r.count.Unclear = append(r.count.Unclear, where+": "+a.String())
	} else if err := s.check(ctx, a.rows); err != nil {
		r.count.Wrong = append(r.count.Wrong, where+": "+err.Error())
	}
	return nil
}

// mode is how jobs are to meet failures.
type mode struct {
	name     string
	settings []string
}

// modes are all that rounds draw from: jobs as clusters run them, jobs that end with the
// first failure, jobs that restart, and jobs that restart from what shuffle servers keep.
func modes() []mode {
	restart := []string{"-D", "restart-strategy.type=fixed-delay", "-D", "restart-strategy.fixed-delay.attempts=20", "-D", "restart-strategy.fixed-delay.delay=200 ms"}
	return []mode{
		{"no restart", nil},
		{"restart", restart},
		{"stored", append([]string{"-D", "exchange.batch-retention=job"}, restart...)},
	}
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.Out, format+"\n", args...) }

// writeShare is which part of the rounds the job that writes has.
const writeShare = 3

// round runs a statement under a fault.
func (r *run) round(ctx context.Context) error {
	s := r.writes.statement()
	if r.random.IntN(writeShare) > 0 {
		r.writes.next = 1 - r.writes.next // it was not run
		s = r.statements[r.random.IntN(len(r.statements))]
	}
	m := modes()[r.random.IntN(len(modes()))]
	f := planFault(r.random, len(r.c.nodes), r.calms[s.name+m.name])
	if f.kind == Damage {
		m = modes()[len(modes())-1] // whose rows are stored
	}
	calm := r.calms[s.name+m.name]
	r.count.Rounds++
	where := fmt.Sprintf("round %d, %s, %s, %s", r.count.Rounds, s.name, m.name, f)
	start := time.Now()
	undo, err := r.inflict(ctx, f)
	if err != nil {
		return err
	}
	outcome, err := r.insist(ctx, m, s, f, where)
	if err := errors.Join(err, undo()); err != nil {
		return err
	}
	r.count.delays = append(r.count.delays, max(0, time.Since(start)-calm.took))
	r.say("%s: %s in %v", where, outcome, time.Since(start).Round(time.Millisecond))
	if err := r.c.ready(ctx); err != nil {
		r.count.Refused = append(r.count.Refused, where+": "+err.Error())
		return nil
	}
	return r.sweep(ctx, where)
}

// mostAttempts is how often a statement is repeated that says that it may be.
const mostAttempts = 10

// insist runs a statement until it succeeds, as long as its errors say that it may.
func (r *run) insist(ctx context.Context, m mode, s statement, f fault, where string) (string, error) {
	for attempt := 1; ; attempt++ {
		r.count.Statements++
		a, err := r.ask(ctx, s.script, r.c.masters(), m.settings...)
		if err != nil {
			return "", err
		}
		if a.code == 0 {
			if err := s.check(ctx, a.rows); err != nil {
				r.count.Wrong = append(r.count.Wrong, where+": "+err.Error())
				return "WRONG", nil
			}
			if attempt == 1 {
				r.count.Right++
				return "right", nil
			}
			r.count.Retried++
			return fmt.Sprintf("right at attempt %d", attempt), nil
		}
		if err := s.whole(ctx); err != nil {
			r.count.Wrong = append(r.count.Wrong, where+": "+err.Error())
			return "WRONG after an error", nil
		}
		if !a.retryable() && !(f.kind == Damage && a.code > 0 && namesDamage(a.notes)) {
			r.count.Unclear = append(r.count.Unclear, where+": "+a.String())
			return "UNCLEAR ERROR", nil
		}
		first, _, _ := strings.Cut(strings.TrimSpace(a.notes), "\n")
		r.count.Errors[shorten(first)]++
		if attempt == mostAttempts {
			r.count.Refused = append(r.count.Refused, fmt.Sprintf("%s: %d attempts, the last: %v", where, attempt, a))
			return "NOT BACK", nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return "", err
		}
	}
}

// inflict begins a fault. The function that it returns takes back what has not
// happened, and returns when every node runs again.
func (r *run) inflict(ctx context.Context, f fault) (undo func() error, err error) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	if f.kind == KillAtPoint {
		if err := r.c.points.Arm(f.point, failpoint.Kill, f.hit); err != nil {
			stop()
			return nil, err
		}
	}
	go func() { // undo waits for it
		if f.kind == KillAtPoint {
			done <- r.awaitPoint(ctx, f)
			return
		}
		done <- r.strike(ctx, f)
	}()
	return func() error {
		stop()
		err := <-done
		if f.kind == KillAtPoint {
			// A process may have been about to arm it for the next hit.
			err = errors.Join(err, r.c.points.Disarm(f.point), r.revive(f), r.c.points.Disarm(f.point))
		}
		return errors.Join(err, r.crashed(f))
	}, nil
}

const watchPause = 20 * time.Millisecond

// awaitPoint waits until the failpoint has ended a process and starts that again.
func (r *run) awaitPoint(ctx context.Context, f fault) error {
	for {
		for _, n := range r.c.nodes {
			if !n.alive() {
				if err := pause(ctx, f.pause); err != nil && ctx.Err() == nil {
					return err
				}
				return r.revive(f)
			}
		}
		if pause(ctx, watchPause) != nil {
			return nil
		}
	}
}

// revive starts the nodes that failpoints have ended, and counts them.
func (r *run) revive(f fault) error {
	fired, err := r.c.points.Fired()
	if err != nil {
		return err
	}
	for _, p := range fired {
		n := r.c.find(p.PID)
		if n == nil {
			return fmt.Errorf("failpoint %s ended process %d, which is none of ours", p.Name, p.PID)
		}
		<-n.over()
		r.count.Kills[n.role.String()]++
		r.count.AtPoint[p.Name]++
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

// strike kills or stops a node when its time has come.
func (r *run) strike(ctx context.Context, f fault) error {
	if pause(ctx, f.after) != nil {
		return nil // the statement was faster
	}
	switch f.kind {
	case Damage:
		return r.damage(ctx, f)
	case BadNetwork:
		r.count.Networks[f.network.String()]++
		return r.c.disturb(ctx, f.node, f.network, f.pause)
	}
	n := r.c.nodes[f.node]
	if !n.alive() {
		return nil // crashed tells
	}
	if f.kind == StopAndContinue {
		r.count.Stops++
		if f.pause > lossPatience {
			r.count.LongStops++
		}
		err := n.signal(syscall.SIGSTOP)
		_ = pause(context.WithoutCancel(ctx), f.pause) // a zombie is to come back when all is over, too
		return errors.Join(err, n.signal(syscall.SIGCONT))
	}
	if err := n.kill(); err != nil {
		return err
	}
	r.count.Kills[n.role.String()]++
	_ = pause(ctx, f.pause)
	return n.start()
}

// damage strikes once there are files, if there are any before the statement is over.
func (r *run) damage(ctx context.Context, f fault) error {
	for {
		n, err := damage(filepath.Join(r.c.dir, "data"), f.node%2 == 0)
		if r.count.Damaged += n; n > 0 || err != nil {
			return err
		}
		if pause(ctx, watchPause) != nil {
			return nil
		}
	}
}

// crashed counts and starts the nodes that have ended by themselves.
func (r *run) crashed(f fault) error {
	for _, n := range r.c.nodes {
		if n.alive() {
			continue
		}
		r.count.Crashes = append(r.count.Crashes, fmt.Sprintf("%s under %s: %v: %s", n.name, f, n.ending(), n.lastWords()))
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

// sweep wants no file of a job anywhere.
func (r *run) sweep(ctx context.Context, where string) error {
	files, err := r.c.leftovers(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		r.count.Left = append(r.count.Left, where+": "+f)
	}
	return nil
}

// end has a power failure in the middle of a job, a restart, and an end in order.
func (r *run) end(ctx context.Context) error {
	s := r.writes.statement()
	half := r.calms[s.name+modes()[0].name].took / 2
	failed := make(chan error, 1)
	go func() { // received below
		_ = pause(ctx, half)
		failed <- r.c.killAll()
	}()
	short := r.Options
	short.Patience = half + 10*time.Second
	if _, err := short.ask(ctx, s.script, r.c.masters()); err != nil {
		return errors.Join(err, <-failed)
	}
	if err := <-failed; err != nil {
		return err
	}
	r.count.PowerFailures++
	if err := r.c.start(ctx); err != nil {
		r.count.Refused = append(r.count.Refused, "after a power failure: "+err.Error())
		return nil
	}
	outcome, err := r.insist(ctx, modes()[0], s, fault{}, "after a power failure")
	if err != nil {
		return err
	}
	r.say("kill of everything during %s, repeated after the restart: %s", s.name, outcome)
	if err := r.sweep(ctx, "after a power failure"); err != nil {
		return err
	}
	if err := r.c.stop(); err != nil {
		r.count.Crashes = append(r.count.Crashes, err.Error())
	}
	return r.sweep(ctx, "after the end")
}
