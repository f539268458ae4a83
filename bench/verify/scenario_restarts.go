package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// restartScenarios are about what begins again when a task of a streaming job fails.
func restartScenarios() []Scenario {
	return []Scenario{{
		Name:  "what-restarts",
		Shows: "a task that writes fails, then one in the middle of the job, again and again: it and what is downstream of it begin again, nothing else does, and no row is lost or twice",
		shape: Shape{Masters: 1, Workers: 2}, play: whatRestarts,
	}}
}

const (
	// relayedRows come in about relayedSeconds from each of three tables.
	relayedRows    = 200_000
	relayedSeconds = 40
	// failuresEach is how often a task of each sort fails.
	failuresEach = 3
)

// relayedScript joins three tables one after the other: sources, a join in the middle, and
// one that writes.
func relayedScript(checkpoints, out string) string {
	var tables strings.Builder
	for _, name := range []string{"a", "b", "c"} {
		fmt.Fprintf(&tables, `CREATE TABLE %s (id BIGINT, other BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '%d', 'rows-per-second' = '%d',
  'fields.id.kind' = 'sequence', 'fields.other.kind' = 'sequence');
`, name, relayedRows, relayedRows/relayedSeconds)
	}
	return fmt.Sprintf(`SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '500 ms';
SET 'exchange.streaming-retention' = 'checkpoint';
SET 'state.checkpoints.dir' = '%s';
SET 'parallelism.default' = '2';
%sCREATE TABLE o (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'csv');
INSERT INTO o SELECT a.id FROM a JOIN b ON a.id = b.id JOIN c ON a.other = c.other;
`, checkpoints, tables.String(), out)
}

func whatRestarts(ctx context.Context, t *telling) error {
	out := filepath.Join(t.output, "relayed")
	text, err := t.call(ctx, relayedScript(filepath.Join(t.dir, "checkpoints"), out), "submit", "-")
	j := job{id: strings.TrimSpace(text)}
	if err != nil {
		return err
	}
	for _, point := range slices.Repeat([]string{failpoint.SinkWrite, failpoint.TaskBetween}, failuresEach) {
		if err := t.failOne(ctx, j, point); err != nil {
			return errors.Join(err, t.describe(ctx, []job{j}))
		}
	}
	if _, err := t.call(ctx, "", "wait", j.id); err != nil {
		return errors.Join(err, t.describe(ctx, []job{j}))
	}
	if err := allOnce(out, relayedRows); err != nil {
		return err
	}
	return t.whole(ctx)
}

// failOne has one task fail after another checkpoint, and looks at what begins again.
func (t *telling) failOne(ctx context.Context, j job, point string) error {
	first, err := t.get(ctx, j)
	if err != nil {
		return err
	}
	var before, after rest.Job
	err = until(ctx, "all tasks run and another checkpoint is complete", func() (_ bool, err error) {
		before, err = t.get(ctx, j)
		return err == nil && before.Checkpoints > first.Checkpoints && allRun(before), err
	})
	if err == nil {
		err = t.points.Arm(point, failpoint.Error, 1)
	}
	if err != nil {
		return err
	}
	err = until(ctx, "the failed task runs again", func() (_ bool, err error) {
		after, err = t.get(ctx, j)
		return err == nil && after.Restarts > before.Restarts && allRun(after), err
	})
	if err != nil {
		return err
	}
	again, want := restarted(before, after), 1
	if point == failpoint.TaskBetween {
		want += int(after.Vertices[len(after.Vertices)-1].Parallelism)
	}
	t.say("%s: attempts were %s, are %s: %d tasks began again", point, attemptsBy(before), attemptsBy(after), again)
	if again != want {
		return fmt.Errorf("%d tasks began again after %s, not %d", again, point, want)
	}
	return nil
}

// allRun reports whether all attempts are at work.
func allRun(j rest.Job) bool {
	return len(j.Vertices) > 0 && !slices.ContainsFunc(j.Vertices, func(v rest.Vertex) bool { return v.Subtasks["RUNNING"] != v.Parallelism })
}

// restarted counts the subtasks that have another attempt.
func restarted(before, after rest.Job) (n int) {
	for v := range after.Vertices {
		for i, attempt := range after.Vertices[v].Attempts {
			if attempt != before.Vertices[v].Attempts[i] {
				n++
			}
		}
	}
	return n
}

func attemptsBy(j rest.Job) string {
	var all []string
	for _, v := range j.Vertices {
		all = append(all, fmt.Sprint(v.Attempts))
	}
	return strings.Join(all, " ")
}
