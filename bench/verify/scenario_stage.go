package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// stageScenarios are about what is kept of stages that are done.
func stageScenarios() []Scenario {
	return []Scenario{
		{
			Name:  "worker-after-stage",
			Shows: "a worker that dies after its stage is done takes nothing of it along: the shuffle server has it",
			shape: Shape{Masters: 1, Workers: 2, Shuffles: 1}, play: workerAfterStage,
		},
		{
			Name:  "daemon-dies",
			Shows: "with a shuffle server go the lanes that it kept, and only their producers run again",
			shape: Shape{Masters: 1, Workers: 4, Shuffles: 2}, play: daemonDies,
		},
		{
			Name:  "workers-join",
			Shows: "two workers that join a running batch job get subtasks of its next region, and nothing begins again",
			shape: Shape{Masters: 1, Workers: 1, Shuffles: 1}, play: workersJoin,
		},
		{
			Name:  "drain-under-load",
			Shows: "a shuffle server is drained while jobs run: nothing runs again, and the server ends when it is empty",
			shape: Shape{Masters: 1, Workers: 4, Shuffles: 2}, play: drainUnderLoad,
		},
	}
}

// workerAfterStage kills a worker whose subtasks of the first stage are done while
// the second has not read yet.
func workerAfterStage(ctx context.Context, t *telling) error {
	h, release, err := t.holdAfterStage(ctx)
	if err != nil {
		return errors.Join(err, release())
	}
	victim := t.of(Worker)[0]
	name, err := t.member(ctx, victim)
	if err != nil {
		return err
	}
	if !slices.Contains(workersOf(stageDone(h.then)), name) {
		return fmt.Errorf("the worker %s has had no part in the stage", name)
	}
	if err := errors.Join(victim.kill(), release(), victim.start()); err != nil {
		return err
	}
	now, err := t.right(ctx, h.job)
	if err != nil {
		return err
	}
	t.say("killed %s, which had run a part of each source; the job finished with the right rows", victim.name)
	t.say("attempts, when the stage was done and at the end:\n%s", attemptsTable(h.then, now))
	for _, v := range stageDone(h.then) {
		if n := changed(v.Attempts, attemptsOf(now, v.ID)); n > 0 {
			return fmt.Errorf("%d subtasks of vertex %d ran again, which was done", n, v.ID)
		}
	}
	if len(now.Failures) == 0 {
		return errors.New("the death of the worker was not noticed")
	}
	return t.whole(ctx)
}

// lanesOf counts the lanes that each shuffle server has got since some hits.
func (s *stage) lanesOf(before map[int]int) (map[*node]int, error) {
	hits, err := s.points.HitsBy(failpoint.LaneCommitted)
	if err != nil {
		return nil, err
	}
	lanes := map[*node]int{}
	for _, n := range s.of(Shuffle) {
		lanes[n] = hits[n.pid()] - before[n.pid()]
	}
	return lanes, nil
}

const mostDraws = 8

// holdSpread holds a job of whose first stage every shuffle server keeps lanes. A worker
// chooses its server by its name, which it draws when it starts.
func (t *telling) holdSpread(ctx context.Context) (h held, lanes map[*node]int, release func() error, err error) {
	for range mostDraws {
		before, err := t.points.HitsBy(failpoint.LaneCommitted)
		if err != nil {
			return h, nil, func() error { return nil }, err
		}
		if h, release, err = t.holdAfterStage(ctx); err != nil {
			return h, nil, release, err
		}
		if lanes, err = t.lanesOf(before); err != nil {
			return h, nil, release, err
		}
		spread := true
		for _, n := range lanes {
			spread = spread && n > 0
		}
		if spread {
			return h, lanes, release, nil
		}
		if err := release(); err != nil {
			return h, nil, release, err
		}
		if _, err := t.right(ctx, h.job); err != nil {
			return h, nil, release, err
		}
		if err := t.restart(ctx, t.of(Worker)[0]); err != nil {
			return h, nil, release, err
		}
	}
	return h, nil, release, fmt.Errorf("after %d draws all workers prefer one shuffle server", mostDraws)
}

// restart has a node end in order and begin another life, and waits until the cluster
// knows the new one and has forgotten the old one.
func (s *stage) restart(ctx context.Context, n *node) error {
	old, err := s.member(ctx, n)
	if err != nil {
		return err
	}
	if err := errors.Join(n.stop(stopPatience), n.start()); err != nil {
		return err
	}
	return until(ctx, n.name+" is registered again, once", func() (bool, error) {
		all, err := s.members(ctx)
		now, gone := false, true
		for _, m := range all {
			now = now || m.Address == n.address && m.ID != old
			gone = gone && m.ID != old
		}
		return now && gone, err
	})
}

// daemonDies kills one of two shuffle servers after the first stage.
func daemonDies(ctx context.Context, t *telling) error {
	h, lanes, release, err := t.holdSpread(ctx)
	if err != nil {
		return errors.Join(err, release())
	}
	victim := t.of(Shuffle)[0]
	total := 0
	for _, n := range lanes {
		total += n
	}
	if err := errors.Join(victim.kill(), release()); err != nil {
		return err
	}
	now, err := t.right(ctx, h.job)
	if err != nil {
		return err
	}
	again := 0
	for _, v := range stageDone(h.then) {
		again += changed(v.Attempts, attemptsOf(now, v.ID))
	}
	t.say("killed %s, which kept %d of %d lanes of the sources; %d producers ran again; the rows are right", victim.name, lanes[victim], total, again)
	if err := victim.start(); err != nil { // and remove what its dead life has left
		return err
	}
	t.say("attempts, when the stage was done and at the end:\n%s", attemptsTable(h.then, now))
	if again != lanes[victim] {
		return fmt.Errorf("%d producers ran again, %d lanes were lost", again, lanes[victim])
	}
	return t.whole(ctx)
}

// workersJoin starts two workers while the first regions of a job are about to end.
func workersJoin(ctx context.Context, t *telling) error {
	h, release, err := t.holdAt(ctx, failpoint.LaneCommit, "the first stage is about to end", func(now rest.Job) bool { return now.State == "RUNNING" })
	if err != nil {
		return errors.Join(err, release())
	}
	fresh := map[string]bool{}
	for i := range 2 {
		n, err := t.add(Worker, 2+i)
		if err != nil {
			return err
		}
		if err := n.start(); err != nil {
			return err
		}
		err = until(ctx, n.name+" is registered", func() (bool, error) {
			name, err := t.member(ctx, n)
			if name != "" {
				fresh[name] = true
			}
			return name != "", err
		})
		if err != nil {
			return err
		}
	}
	if err := release(); err != nil {
		return err
	}
	now, err := t.right(ctx, h.job)
	if err != nil {
		return err
	}
	used := 0
	for _, v := range now.Vertices {
		here := 0
		for _, w := range v.Workers {
			if fresh[w] {
				here++
			}
		}
		used += here
		t.say("vertex %d, region %d: %d subtasks, %d of them at workers that joined, attempts %v", v.ID, v.Region, v.Parallelism, here, v.Attempts)
	}
	again := 0
	for _, v := range h.then.Vertices {
		again += changed(v.Attempts, firstOf(attemptsOf(now, v.ID), len(v.Attempts)))
	}
	switch {
	case used == 0:
		return errors.New("the workers that joined got nothing")
	case again > 0 || now.Restarts > 0 || len(now.Failures) > 0:
		return fmt.Errorf("something began again: %d subtasks, %d restarts, %d failures", again, now.Restarts, len(now.Failures))
	}
	return t.whole(ctx)
}

func firstOf(all []uint32, n int) []uint32 { return all[:min(n, len(all))] }

// drainUnderLoad drains one of two shuffle servers while one job is held that has lanes
// there, and others run.
func drainUnderLoad(ctx context.Context, t *telling) error {
	h, lanes, release, err := t.holdSpread(ctx)
	if err != nil {
		return errors.Join(err, release())
	}
	victim := t.of(Shuffle)[0]
	name, err := t.member(ctx, victim)
	if err != nil {
		return err
	}
	all := []job{h.job}
	for range 2 { // they are held, too, once they read
		j, err := t.submit(ctx, stored()...)
		if err != nil {
			return err
		}
		all = append(all, j)
	}
	if _, err := t.call(ctx, "", "drain", name); err != nil {
		return err
	}
	j, err := t.submit(ctx, stored()...) // of which it must keep nothing
	if err := errors.Join(err, release()); err != nil {
		return err
	}
	for _, j := range append(all, j) {
		now, err := t.right(ctx, j)
		if err != nil {
			return err
		}
		t.say("job %s: right; attempts %v, %d restarts, %d failures", j.id, allAttempts(now), now.Restarts, len(now.Failures))
		for _, n := range allAttempts(now) {
			if n != allAttempts(h.then)[0] {
				return fmt.Errorf("a subtask of job %s ran again\n%s", j.id, attemptsTable(h.then, now))
			}
		}
	}
	t.say("drained %s, which kept %d lanes of the first job", victim.name, lanes[victim])
	if err := until(ctx, victim.name+" has ended by itself", func() (bool, error) { return !victim.alive(), nil }); err != nil {
		return err
	}
	if how := victim.ending(); how != nil {
		return fmt.Errorf("%s ended: %w", victim.name, how)
	}
	return t.whole(ctx)
}

// allAttempts are the distinct numbers of attempts of a job.
func allAttempts(now rest.Job) (all []uint32) {
	for _, v := range now.Vertices {
		all = append(all, v.Attempts...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
