package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// moment is when a process is killed.
type moment uint8

// The moments. A kill counts as one of a moment that was seen, not of one that was aimed at.
const (
	noMoment moment = iota
	anyTime
	inCheckpoint // a task writes its state, or the leader the checkpoint's entry
	inCommit     // the entry is written; sinks are about to publish, or have published
	inRecovery   // the job starts again after another kill
	inSavepoint
	inStop // with a savepoint, which the next job goes on from
	inRescale
	inEnd // some tasks have finished
)

func (m moment) String() string {
	return [...]string{
		"never", "at any time", "in a checkpoint", "in a commit", "in a recovery", "in a savepoint", "in a stop with savepoint",
		"in a rescale", "in the end",
	}[min(m, inEnd)]
}

const (
	ledgerPause  = 20 * time.Millisecond
	ledgerCalm   = 300 * time.Millisecond // at most, before the next kill
	ledgerAway   = 800 * time.Millisecond // at most, before a process is started again
	ledgerAside  = 4 * time.Second        // at most, that one is stopped
	ledgerAmid   = 150 * time.Millisecond // at most, that a rescale or a recovery has gone on
	pointPasses  = 3 * time.Second        // for a failpoint to be reached, or a moment to come
	pointHitMost = 3
)

// disturb has something happen to the cluster, and mostly waits until the job has come
// further. Of sixteen times eleven are at a chosen moment, and two stop a process.
func (r *ledgerRun) disturb(ctx context.Context, b *books, now rest.Job) error {
	if err := pause(ctx, r.upTo(ledgerCalm)); err != nil {
		return err
	}
	ends := someFinished(now)
	if r.killed() >= r.options.Kills && (!ends || b.ending) {
		return nil
	}
	var err error
	switch n := r.random.IntN(16); {
	case ends && b.ending:
		return nil // at most once for each job, or it would not end
	case ends:
		b.ending = true
		err = r.kill(r.victim(ctx), inEnd)
	case n < 3:
		err = r.kill(r.victim(ctx), anyTime)
	case n < 5:
		err = r.atPoint(ctx, b, inCheckpoint, failpoint.CheckpointState, failpoint.CheckpointPublish)
	case n < 7:
		err = r.atPoint(ctx, b, inCommit, failpoint.CheckpointComplete, failpoint.CheckpointCommit, failpoint.CheckpointCommitted)
	case n < 9:
		err = r.twice(ctx, b, now)
	case n < 11:
		err = r.inRescale(ctx, b)
	case n < 13:
		err = r.inSavepoint(ctx, b)
	case n < 14:
		return r.inStop(ctx, b)
	default:
		err = r.stopOne(ctx)
	}
	if err == nil {
		err = r.revive(ctx)
	}
	if err != nil || r.random.IntN(4) == 0 {
		return err // the next one finds the cluster as this one has left it
	}
	return r.further(ctx, b, now)
}

func (r *ledgerRun) upTo(d time.Duration) time.Duration {
	return time.Duration(r.random.Int64N(int64(d)))
}

// someFinished says that some transfers have come to their end; the rules do so at once.
func someFinished(now rest.Job) bool {
	return slices.ContainsFunc(now.Vertices, func(v rest.Vertex) bool {
		return v.Subtasks["FINISHED"] > 0 && strings.HasPrefix(v.Name, "transfers")
	})
}

// kill ends a process, unless it has ended already.
func (r *ledgerRun) kill(n *node, at moment) error {
	if r.down[n] {
		return nil
	}
	r.down[n] = true
	r.kills[n.role]++
	r.moments[at]++
	return n.kill()
}

// revive starts again whoever was killed.
func (r *ledgerRun) revive(ctx context.Context) error {
	if len(r.down) == 0 {
		return nil
	}
	if err := pause(ctx, r.upTo(ledgerAway)); err != nil {
		return err
	}
	for _, n := range r.nodes {
		if r.down[n] {
			delete(r.down, n)
			if err := n.start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// further waits until the job has completed another checkpoint and all of it runs.
func (r *ledgerRun) further(ctx context.Context, b *books, now rest.Job) error {
	begun := time.Now()
	for {
		later, err := r.ask(ctx, b.job)
		if err != nil {
			return err
		}
		if later.Over || later.Checkpoints != now.Checkpoints && runsWhole(later) {
			r.longer = max(r.longer, time.Since(begun))
			return nil
		}
		if time.Since(begun) > ledgerPatience {
			return fmt.Errorf("no checkpoint within %v", ledgerPatience)
		}
		if err := pause(ctx, ledgerPause); err != nil {
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

// atPoint kills whoever makes some hit of one of the points.
func (r *ledgerRun) atPoint(ctx context.Context, b *books, at moment, points ...string) error {
	point := points[r.random.IntN(len(points))]
	if err := r.points.Arm(point, failpoint.Kill, 1+r.random.IntN(pointHitMost)); err != nil {
		return err
	}
	deadline := time.Now().Add(pointPasses)
	for {
		fired, err := r.fired(at)
		if err != nil || fired {
			return err
		}
		now, err := r.ask(ctx, b.job)
		if err != nil {
			return err
		}
		if now.Over || time.Now().After(deadline) {
			break
		}
		if err := pause(ctx, ledgerPause); err != nil {
			return err
		}
	}
	if err := r.points.Disarm(point); err != nil {
		return err
	}
	if err := pause(ctx, 5*ledgerPause); err != nil { // who has just come there has died by now
		return err
	}
	_, err := r.fired(at)
	return err
}

// fired counts processes that failpoints have ended.
func (r *ledgerRun) fired(at moment) (bool, error) {
	all, err := r.points.Fired()
	if err != nil {
		return false, err
	}
	for _, p := range all {
		n := r.find(p.PID)
		if n == nil {
			return false, fmt.Errorf("failpoint %s ended process %d, which is none of ours", p.Name, p.PID)
		}
		if err := r.kill(n, at); err != nil {
			return false, err
		}
	}
	return len(all) > 0, nil
}

// twice kills a worker, and somebody else as the job starts again.
func (r *ledgerRun) twice(ctx context.Context, b *books, now rest.Job) error {
	workers := r.of(Worker)
	if err := r.kill(workers[r.random.IntN(len(workers))], anyTime); err != nil {
		return err
	}
	recovers, err := r.sees(ctx, b, func(later rest.Job) bool {
		return later.Restarts != now.Restarts || later.State != "RUNNING" || !runsWhole(later)
	})
	if err != nil || !recovers {
		return err
	}
	if err := pause(ctx, r.upTo(ledgerAmid)); err != nil {
		return err
	}
	return r.kill(r.victim(ctx), inRecovery)
}

// sees waits for something to hold of the job, not for long.
func (r *ledgerRun) sees(ctx context.Context, b *books, holds func(rest.Job) bool) (bool, error) {
	deadline := time.Now().Add(pointPasses)
	for {
		now, err := r.ask(ctx, b.job)
		if err != nil || now.Over {
			return false, err
		}
		if holds(now) {
			return true, nil
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := pause(ctx, ledgerPause); err != nil {
			return false, err
		}
	}
}

// inRescale gives the job another parallelism and kills somebody while it comes to be.
func (r *ledgerRun) inRescale(ctx context.Context, b *books) error {
	width := fmt.Sprint(1 + r.random.IntN(ledgerWidth))
	if _, err := r.command(ctx, "rescale", b.id, "-p", width); err != nil {
		return err
	}
	at := anyTime
	under, err := r.sees(ctx, b, func(now rest.Job) bool { return rescales(now) || fmt.Sprint(widest(now)) == width })
	if err != nil {
		return err
	}
	if err := pause(ctx, r.upTo(ledgerAmid)); err != nil {
		return err
	}
	if now, err := r.ask(ctx, b.job); err != nil || now.Over {
		return err
	} else if under && rescales(now) {
		at = inRescale
	}
	return r.kill(r.victim(ctx), at)
}

// rescales says that a rescaling has been decided and has not come true.
func rescales(now rest.Job) (under bool) {
	for _, d := range now.Decisions {
		switch d.Rule {
		case "rescaled":
			under = false
		case "rescale":
			under = strings.HasPrefix(d.Effect, "a checkpoint")
		}
	}
	return under
}

// command runs a verb of the program; what the cluster refuses, or does not answer while its
// leader changes, is no error.
func (r *ledgerRun) command(ctx context.Context, args ...string) (answer, error) {
	a, err := r.options.command(ctx, "", append(args, "--cluster", strings.Join(r.masters(), ","))...)
	if err == nil && a.code == hungCode {
		err = fmt.Errorf("tidemill %s does not end: %v", strings.Join(args, " "), a)
	}
	return a, err
}

// during runs a verb, and kills somebody while it runs.
func (r *ledgerRun) during(ctx context.Context, at moment, args ...string) (a answer, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a, err = r.command(ctx, args...)
	}()
	timer := time.NewTimer(100*time.Millisecond + r.upTo(2*ledgerAmid))
	defer timer.Stop()
	var killed error
	select {
	case <-ended:
		at = anyTime // it was faster
	case <-timer.C:
	}
	killed = r.kill(r.victim(ctx), at)
	revived := r.revive(ctx)
	<-ended
	return a, errors.Join(killed, revived, err)
}

// savepointDir is where the next savepoint of a job goes.
func (b *books) savepointDir() string {
	b.savepoints++
	return filepath.Join(b.dir, "savepoints", fmt.Sprint(b.savepoints))
}

func (r *ledgerRun) inSavepoint(ctx context.Context, b *books) error {
	_, err := r.during(ctx, inSavepoint, "savepoint", b.id, b.savepointDir())
	return err
}

// inStop stops the job with a savepoint, and has another one go on from it.
func (r *ledgerRun) inStop(ctx context.Context, b *books) error {
	dir := b.savepointDir()
	a, err := r.during(ctx, inStop, "stop", b.id, "--savepoint-path", dir)
	if err != nil {
		return err
	}
	if a.code != 0 {
		now, err := r.ask(ctx, b.job)
		if err != nil || !now.Over {
			return err // it goes on
		}
		if a, err = r.command(ctx, "stop", b.id, "--savepoint-path", dir); err != nil || a.code != 0 {
			return err // it has come to its end
		}
	}
	return r.begin(ctx, b, strings.TrimSpace(a.rows))
}

// stopOne stops a process for a while, which then goes on as if nothing had been.
func (r *ledgerRun) stopOne(ctx context.Context) error {
	n := r.victim(ctx)
	if err := n.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	r.stops++
	err := pause(ctx, r.upTo(ledgerAside))
	return errors.Join(err, n.signal(syscall.SIGCONT))
}
