package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// unalignedScenarios are about checkpoints that overtake rows in flight.
func unalignedScenarios() []Scenario {
	return []Scenario{{
		Name:  "unaligned",
		Shows: "a checkpoint under a blocked sink has the rows in flight; then a worker and the shuffle server die: no row is lost or twice, at the same and at another parallelism",
		shape: Shape{Masters: 1, Workers: 2, Shuffles: 1}, play: unaligned,
	}}
}

// joinedRows is how many rows each job of unaligned writes.
const joinedRows = 200_000

// joinedScript joins two tables by their ids. Between two checkpoints there is time enough for
// unaligned to let sinks go: the next one would complete with nothing in flight.
func joinedScript(checkpoints, out string, parallelism int) string {
	side := `CREATE TABLE %s (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '%d', 'fields.id.kind' = 'sequence');
`
	return fmt.Sprintf(`SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '3 s';
SET 'execution.checkpointing.aligned-checkpoint-timeout' = '100 ms';
SET 'execution.batch-rows' = '500';
SET 'state.checkpoints.dir' = '%s';
SET 'parallelism.default' = '%d';
`+side+side+`CREATE TABLE o (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'csv');
INSERT INTO o SELECT l.id FROM l JOIN r ON l.id = r.id;
`, checkpoints, parallelism, "l", joinedRows, "r", joinedRows, out)
}

// unaligned plays it with two subtasks, which the worker that is left has slots for, and
// with four, which it has not.
func unaligned(ctx context.Context, t *telling) error {
	for _, parallelism := range []int{2, 4} {
		if err := t.underBlockedSink(ctx, parallelism); err != nil {
			return fmt.Errorf("with %d subtasks: %w", parallelism, err)
		}
	}
	return t.whole(ctx)
}

func (t *telling) underBlockedSink(ctx context.Context, parallelism int) error {
	dir, out := filepath.Join(t.dir, fmt.Sprintf("checkpoints-%d", parallelism)), filepath.Join(t.output, fmt.Sprintf("joined-%d", parallelism))
	hold := func() error { return t.points.Arm(failpoint.SinkWrite, failpoint.Hold, 1) }
	before, err := t.points.Hits()
	if err = errors.Join(err, hold()); err != nil {
		return err
	}
	text, err := t.call(ctx, joinedScript(dir, out, parallelism), "submit", "-")
	j := job{id: strings.TrimSpace(text)}
	if err != nil {
		return err
	}
	err = until(ctx, "all sinks are held", func() (bool, error) {
		now, err := t.points.Hits()
		return now[failpoint.SinkWrite] >= before[failpoint.SinkWrite]+parallelism, err
	})
	if err == nil {
		err = t.underWay(ctx, j)
	}
	if err == nil {
		err = pause(ctx, overdueAfter)
	}
	if err != nil {
		return errors.Join(err, t.describe(ctx, []job{j}))
	}
	start := time.Now()
	c, rounds, err := t.letGoUntilInFlight(ctx, j, hold)
	if err != nil {
		return errors.Join(err, t.describe(ctx, []job{j}))
	}
	took := time.Since(start)
	files, bytes, err := inFlight(dir)
	if err == nil && files == 0 {
		err = fmt.Errorf("checkpoint %d has no files of the %d bytes in flight", c.Number, c.InFlight)
	}
	if err != nil {
		return err
	}
	t.say("%d subtasks: checkpoint %d is complete %v after the sinks were first let go, %d times for %v; %d subtasks overtook; %d bytes in flight in %d files",
		parallelism, c.Number, took.Round(time.Millisecond), rounds, letGo, c.Overtaken, bytes, files)
	victims := []*node{t.of(Worker)[0], t.of(Shuffle)[0]}
	var former []string
	start = time.Now()
	for _, n := range victims {
		name, err := t.member(ctx, n)
		if err := errors.Join(err, n.kill()); err != nil {
			return err
		}
		former = append(former, name)
	}
	if err := t.points.Disarm(failpoint.SinkWrite); err != nil {
		return err
	}
	if _, err := t.call(ctx, "", "wait", j.id); err != nil {
		return errors.Join(err, t.describe(ctx, []job{j}))
	}
	t.say("killed a worker and the shuffle server; the job has ended after %v", time.Since(start).Round(time.Millisecond))
	if err := allOnce(out, joinedRows); err != nil {
		return err
	}
	for _, n := range victims {
		<-n.over()
		if err := n.start(); err != nil {
			return err
		}
	}
	return t.backWithout(ctx, former)
}

// backWithout waits until the cluster is as it was, and knows former lives of its nodes no more.
func (t *telling) backWithout(ctx context.Context, former []string) error {
	if err := t.ready(ctx); err != nil {
		return err
	}
	return until(ctx, "the cluster is as it was", func() (bool, error) {
		members, err := t.members(ctx)
		alive := 0
		for _, n := range members {
			if slices.Contains(former, n.ID) {
				return false, err
			}
			if n.Role == "worker" && n.Slots > 0 && n.FreeSlots == n.Slots || n.Role == "shuffle" && !n.Lost {
				alive++
			}
		}
		return alive == len(t.of(Worker))+len(t.of(Shuffle)), err
	})
}

// underWay waits for a checkpoint that is not complete.
func (t *telling) underWay(ctx context.Context, j job) error {
	return until(ctx, "a checkpoint is under way", func() (bool, error) {
		c, err := t.newest(ctx, j, "IN_PROGRESS")
		return c.Number > 0, err
	})
}

// newest is a job's newest checkpoint in a state; of number 0: there is none.
func (t *telling) newest(ctx context.Context, j job, state string) (rest.Checkpoint, error) {
	var all rest.Checkpoints
	printed, err := t.call(ctx, "", "checkpoints", j.id, "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(printed), &all)
	}
	if i := slices.IndexFunc(all.Checkpoints, func(c rest.Checkpoint) bool { return c.State == state }); i >= 0 {
		return all.Checkpoints[i], err
	}
	return rest.Checkpoint{}, err
}

// letGoUntilInFlight lets sinks write for a moment, again and again, until the newest complete
// checkpoint has rows in flight: a join makes several batches of one, and each must go before
// the next element. One that was complete before all sinks were held has none.
func (t *telling) letGoUntilInFlight(ctx context.Context, j job, hold func() error) (c rest.Checkpoint, rounds int, err error) {
	err = until(ctx, "the newest complete checkpoint has rows in flight", func() (bool, error) {
		rounds++
		if err := errors.Join(t.points.Disarm(failpoint.SinkWrite), pause(ctx, letGo), hold()); err != nil {
			return false, err
		}
		former := c.Number
		for range 10 {
			if c, err = t.newest(ctx, j, "COMPLETED"); err != nil || c.Number > former {
				break
			}
			if err := pause(ctx, scenarioPause); err != nil {
				return false, err
			}
		}
		return c.InFlight > 0, err
	})
	return c, rounds, err
}

const (
	// overdueAfter is when a checkpoint that is under way was told to overtake; letGo how
	// long sinks are let go, so that each takes what it has in hand.
	overdueAfter = time.Second
	letGo        = 30 * time.Millisecond
)

// inFlight counts the files of rows in flight, and their bytes.
func inFlight(dir string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".inflight") {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a later checkpoint has removed it
		}
		files, bytes = files+1, bytes+info.Size()
		return err
	})
	return files, bytes, err
}
