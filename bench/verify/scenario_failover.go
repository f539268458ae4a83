package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// failoverScenarios are about processes that die and others that go on.
func failoverScenarios() []Scenario {
	return []Scenario{
		{
			Name:  "leader-killed",
			Shows: fmt.Sprintf("the leader of three masters dies: another leads and runs its jobs within %v", leaderFloor),
			shape: Shape{Masters: 3, Workers: 2, Shuffles: 1}, play: leaderKilled,
		},
		{
			Name:  "worker-killed",
			Shows: fmt.Sprintf("a worker dies under a job: all of the job runs again within %v", workerFloor),
			shape: Shape{Masters: 1, Workers: 2, Shuffles: 1}, play: workerKilled,
		},
		{
			Name:  "kill-everything",
			Shows: "all processes die with jobs running; after a restart the jobs finish, and no file is left",
			shape: Shape{Masters: 1, Workers: 2, Shuffles: 1}, play: killEverything,
		},
	}
}

// What the acceptance wants at most, from the kill on.
const (
	leaderFloor = 5 * time.Second
	workerFloor = 10 * time.Second
)

// leader is the node that leads; nil: none that the cluster knows.
func (s *stage) leader(ctx context.Context) (*node, error) {
	all, err := s.members(ctx)
	for _, m := range all {
		if !m.Leader {
			continue
		}
		for _, n := range s.of(Master) {
			if n.address == m.Address {
				return n, nil
			}
		}
	}
	return nil, err
}

// runsWhole tells that every subtask of a job's regions that have begun runs or has ended.
func runsWhole(now rest.Job) bool {
	begun := 0
	for _, v := range now.Vertices {
		n := v.Subtasks["RUNNING"] + v.Subtasks["FINISHED"]
		if begun += int(n); n > 0 && n != v.Parallelism {
			return false
		}
	}
	return now.State == "RUNNING" && begun > 0
}

// leaderKilled kills the leader while jobs are held.
func leaderKilled(ctx context.Context, t *telling) error {
	h, release, err := t.holdAfterStage(ctx)
	if err != nil {
		return errors.Join(err, release())
	}
	second, err := t.submit(ctx, stored()...)
	if err != nil {
		return errors.Join(err, release())
	}
	victim, err := t.leader(ctx)
	if err != nil || victim == nil {
		return errors.Join(err, errors.New("nobody leads"), release())
	}
	if err := victim.kill(); err != nil {
		return err
	}
	start := time.Now()
	var next *node
	err = until(ctx, "another master leads", func() (bool, error) {
		next, err = t.leader(ctx)
		return next != nil && next != victim, err
	})
	if err != nil {
		return errors.Join(err, release())
	}
	led := time.Since(start)
	jobs := []job{h.job, second}
	err = until(ctx, "both jobs are taken over, and one has slots and runs", func() (bool, error) {
		runs := false
		for _, j := range jobs {
			now, err := t.get(ctx, j)
			if err != nil || now.State != "RUNNING" {
				return false, err
			}
			runs = runs || runsWhole(now)
		}
		return runs, nil
	})
	if err != nil {
		return errors.Join(err, t.describe(ctx, jobs), release())
	}
	taken := time.Since(start)
	t.say("killed %s, which led; %s leads after %v; both jobs are taken over, and one runs again, after %v", victim.name, next.name, led.Round(time.Millisecond), taken.Round(time.Millisecond))
	if err := errors.Join(release(), victim.start()); err != nil {
		return err
	}
	for _, j := range jobs {
		if _, err := t.right(ctx, j); err != nil {
			return err
		}
	}
	t.say("both jobs have finished under %s with the right rows", next.name)
	if taken > leaderFloor {
		return fmt.Errorf("the jobs were taken over after %v, more than %v", taken, leaderFloor)
	}
	return t.whole(ctx)
}

// workerKilled kills one of two workers for good.
func workerKilled(ctx context.Context, t *telling) error {
	h, release, err := t.holdAfterStage(ctx)
	if err != nil {
		return errors.Join(err, release())
	}
	victim := t.of(Worker)[0]
	if err := victim.kill(); err != nil {
		return err
	}
	start := time.Now()
	if _, err = t.jobUntil(ctx, h.job, "the death is noticed", func(now rest.Job) bool { return len(now.Failures) > 0 }); err != nil {
		return errors.Join(err, release())
	}
	noticed := time.Since(start)
	if _, err = t.jobUntil(ctx, h.job, "the job runs again", runsWhole); err != nil {
		return errors.Join(err, release())
	}
	took := time.Since(start)
	t.say("killed %s; noticed after %v; the job runs again after %v", victim.name, noticed.Round(time.Millisecond), took.Round(time.Millisecond))
	if err := release(); err != nil {
		return err
	}
	if _, err := t.right(ctx, h.job); err != nil {
		return err
	}
	t.say("the job has finished with the right rows")
	if took > workerFloor {
		return fmt.Errorf("the job ran again after %v, more than %v", took, workerFloor)
	}
	return errors.Join(victim.start(), t.whole(ctx))
}

// killEverything ends all processes while jobs read, run and publish.
func killEverything(ctx context.Context, t *telling) error {
	publishing, goOn, err := t.holdAt(ctx, failpoint.PublishStep, "the job publishes", func(rest.Job) bool { return true })
	if err != nil {
		return errors.Join(err, goOn())
	}
	reading, release, err := t.holdAfterStage(ctx)
	if err != nil {
		return errors.Join(err, release(), goOn())
	}
	starting, err := t.submit(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(t.killAll(), release(), goOn()); err != nil {
		return err
	}
	t.say("killed %d processes while one job published, one was between two stages, one began", len(t.nodes))
	start := time.Now()
	if err := t.start(ctx); err != nil {
		return err
	}
	for _, j := range []job{publishing.job, reading.job, starting} {
		now, err := t.right(ctx, j)
		if err != nil {
			return err
		}
		t.say("job %s: %s with the right rows, %v after the restart", j.id, now.State, time.Since(start).Round(time.Millisecond))
	}
	if err := t.whole(ctx); err != nil {
		return err
	}
	if err := t.stop(); err != nil {
		return err
	}
	return t.inventory()
}

// inventory tells which files there are once all has ended, by what they are for, and
// wants none that only a running job may have.
func (t *telling) inventory() error {
	kinds := map[string]int{}
	for _, top := range []string{filepath.Join(t.dir, "data"), t.output} {
		err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			inside, err := filepath.Rel(t.dir, name)
			kinds[filepath.ToSlash(filepath.Dir(inside))]++
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	var dirs []string
	for dir := range kinds {
		dirs = append(dirs, fmt.Sprintf("%s %d", dir, kinds[dir]))
	}
	slices.Sort(dirs)
	t.say("files once all has ended: %v", dirs)
	files, err := jobFiles(filepath.Join(t.dir, "data"))
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("files are left: %v", files)
	}
	return err
}
