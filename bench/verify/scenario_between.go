package verify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
)

// betweenScenarios are about checkpoints that are complete and not published yet.
func betweenScenarios() []Scenario {
	return []Scenario{{
		Name:  "leader-between",
		Shows: "the leader dies between the entry of a checkpoint and the publication of its files, the last one's too: no row is lost, none is there twice",
		Long:  true,
		shape: Shape{Masters: 3, Workers: 2, Shuffles: 1}, play: leaderBetween,
	}}
}

// betweenRows is how many rows each job of leader-between writes.
const betweenRows = 3000

// betweenScript writes ids to files that become visible with checkpoints. Without an
// interval to speak of there is the final checkpoint alone.
func betweenScript(checkpoints, out, interval string, rate int) string {
	return fmt.Sprintf(`SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '%s';
SET 'state.checkpoints.dir' = '%s';
SET 'parallelism.default' = '2';
CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '%d', 'number-of-rows' = '%d', 'fields.id.kind' = 'sequence');
CREATE TABLE o (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'csv');
INSERT INTO o SELECT id FROM g;
`, interval, checkpoints, rate, betweenRows, out)
}

// leaderBetween has as many leaders die as it is told to kill.
func leaderBetween(ctx context.Context, t *telling) error {
	killed, final := 0, 0
	var longest time.Duration
	for round := 0; killed < t.options.Kills; round++ {
		if round == 2*t.options.Kills+10 {
			return fmt.Errorf("only %d leaders have died in %d jobs", killed, round)
		}
		interval, rate, hit := "300 ms", 1500, 1+round%4
		last := round%3 == 2
		if last {
			interval, rate, hit = "1 h", 100_000, 1
		}
		n, took, err := t.between(ctx, round, interval, rate, hit)
		if err != nil {
			return fmt.Errorf("job %d: %w", round, err)
		}
		killed += n
		if last {
			final += n
		}
		longest = max(longest, took)
	}
	t.say("%d leaders have died, %d of them with the last checkpoint of a job; 0 of %d rows of each job lost, 0 twice; the longest job took %v",
		killed, final, betweenRows, longest.Round(time.Millisecond))
	return t.whole(ctx)
}

// between runs a job whose leader dies at a checkpoint, and tells how many have.
func (t *telling) between(ctx context.Context, round int, interval string, rate, hit int) (killed int, took time.Duration, err error) {
	if err := t.points.Arm(failpoint.CheckpointComplete, failpoint.Kill, hit); err != nil {
		return 0, 0, err
	}
	out := filepath.Join(t.output, fmt.Sprintf("between-%d", round))
	start := time.Now()
	text, err := t.call(ctx, betweenScript(filepath.Join(t.dir, "checkpoints"), out, interval, rate), "submit", "-")
	if err != nil {
		return 0, 0, err
	}
	j := job{id: strings.TrimSpace(text)}
	if _, err = t.call(ctx, "", "wait", j.id); err != nil {
		return 0, 0, errors.Join(err, t.describe(ctx, []job{j}))
	}
	took = time.Since(start)
	if err := t.points.Disarm(failpoint.CheckpointComplete); err != nil {
		return 0, took, err
	}
	if err := allOnce(out, betweenRows); err != nil {
		return 0, took, errors.Join(err, t.describe(ctx, []job{j}))
	}
	fired, err := t.points.Fired()
	for _, p := range fired {
		n := t.find(p.PID)
		if n == nil {
			return killed, took, fmt.Errorf("failpoint %s ended process %d, which is none of ours", p.Name, p.PID)
		}
		<-n.over()
		killed++
		err = errors.Join(err, n.start())
	}
	if err == nil && killed > 0 {
		err = t.whole(ctx)
	}
	return killed, took, err
}

// allOnce wants the numbers from 0 to below n in the files of a directory, each once.
func allOnce(dir string, n int) error {
	seen := make([]int, n)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			i, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
			if err != nil && strings.Contains(lines.Text(), "id") {
				continue // the header
			}
			if err != nil || i < 0 || i >= n {
				return fmt.Errorf("%s has a row %q", name, lines.Text())
			}
			seen[i]++
		}
		return lines.Err()
	})
	lost, twice := 0, 0
	for _, k := range seen {
		if k == 0 {
			lost++
		}
		if k > 1 {
			twice++
		}
	}
	if err == nil && lost+twice > 0 {
		err = fmt.Errorf("%d rows of %d are lost, %d are there more than once", lost, n, twice)
	}
	return err
}
