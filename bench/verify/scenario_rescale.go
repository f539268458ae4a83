package verify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/scheduler/rest"
)

// rescaleScenarios are about streaming jobs that get another parallelism.
func rescaleScenarios() []Scenario {
	two := Shape{Masters: 1, Workers: 2}
	return []Scenario{
		{
			Name:  "rescale",
			Shows: fmt.Sprintf("a streaming job with state goes from 1 to 2 to 1 under load: output pauses for %v at most, all is done within %v", pauseFloor, rescaleFloor),
			shape: two, play: rescaled,
		},
		{
			Name:  "slots-lost",
			Shows: "a worker with half of a streaming job dies for good: it goes on with the slots that are left, and grows when a worker comes",
			shape: two, play: slotsLost,
		},
		{
			Name:  "stream-worker-killed",
			Shows: fmt.Sprintf("a worker dies under a streaming job: there is new output within %v", outputFloor),
			shape: two, play: streamWorkerKilled,
		},
	}
}

// What the acceptance wants at most.
const (
	pauseFloor   = 2 * time.Second
	rescaleFloor = 7 * time.Second
	outputFloor  = 10 * time.Second
)

const (
	// keyBytes is about what the state of a key takes.
	keyBytes = 128
	// liveRate is how many rows a second come while the job is watched, and shownEvery how
	// many of them show in its output.
	liveRate, shownEvery = 20_000, 10
)

// streamScript is a group-by with so many keys of state, which a first table fills as fast
// as it can; then the rows of a second one come in, and each of its groups that changes is
// printed, if it shows.
func streamScript(dir string, keys, parallelism int) string {
	return fmt.Sprintf(`SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '1 s';
SET 'state.checkpoints.dir' = '%s';
SET 'parallelism.default' = '%d';
SET 'jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling' = '1 s';
CREATE TABLE filling (k BIGINT, n BIGINT, pad VARCHAR) WITH ('connector' = 'datagen', 'number-of-rows' = '%d', 'rows-per-second' = '0',
  'fields.k.kind' = 'sequence', 'fields.n.min' = '-1', 'fields.n.max' = '-1', 'fields.pad.length' = '80');
CREATE TABLE live (n BIGINT, r BIGINT, pad VARCHAR) WITH ('connector' = 'datagen', 'rows-per-second' = '%d',
  'fields.n.kind' = 'sequence', 'fields.r.min' = '0', 'fields.r.max' = '%d', 'fields.pad.length' = '80');
CREATE TABLE seen (k BIGINT, c BIGINT, n BIGINT, pad VARCHAR) WITH ('connector' = 'print');
INSERT INTO seen SELECT * FROM (SELECT k, COUNT(*) AS c, MAX(n) AS n, MAX(pad) AS pad
  FROM (SELECT k, n, pad FROM filling UNION ALL SELECT r AS k, n, pad FROM live) AS rows GROUP BY k) AS groups WHERE n >= 0 AND MOD(n, %d) = 0;
`, dir, parallelism, keys, liveRate, max(keys-1, 1), shownEvery)
}

// tail follows the printed rows of all workers and notes when newer ones come.
type tail struct {
	mu     sync.Mutex
	newest int64
	last   time.Time
	marked time.Time // since when gaps are counted
	gap    time.Duration
	stop   context.CancelFunc
	ended  sync.WaitGroup
}

// tailOutput follows the logs of the workers that there are and that come.
func (t *telling) tailOutput(ctx context.Context) *tail {
	w := &tail{newest: -1}
	ctx, w.stop = context.WithCancel(ctx)
	w.ended.Go(func() { w.follow(ctx, t.logs()) })
	return w
}

const tailPause = 5 * time.Millisecond

func (w *tail) follow(ctx context.Context, dir string) {
	tails := map[string]*bufio.Reader{}
	for ctx.Err() == nil {
		files, _ := filepath.Glob(filepath.Join(dir, Worker.String()+"-*.log"))
		for _, name := range files {
			if tails[name] == nil {
				f, err := os.Open(name)
				if err != nil {
					continue
				}
				defer f.Close()
				tails[name] = bufio.NewReaderSize(f, 1<<20)
			}
			w.read(tails[name])
		}
		_ = pause(ctx, tailPause)
	}
}

// read takes the lines that have come.
func (w *tail) read(from *bufio.Reader) {
	for {
		line, err := from.ReadString('\n')
		if n, ok := printed(line); ok {
			w.note(n)
		}
		if errors.Is(err, io.EOF) || err != nil {
			return
		}
	}
}

// printed is the number of a row of seen.
func printed(line string) (int64, bool) {
	_, row, ok := strings.Cut(line, "[")
	fields := strings.Split(row, ", ")
	if !ok || len(fields) != 4 {
		return 0, false
	}
	n, err := strconv.ParseInt(fields[2], 10, 64)
	return n, err == nil
}

func (w *tail) note(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n <= w.newest {
		return
	}
	now := time.Now()
	if since := now.Sub(w.last); !w.marked.IsZero() && !w.last.IsZero() {
		w.gap = max(w.gap, since)
	}
	w.newest, w.last = n, now
}

// mark forgets the gaps so far.
func (w *tail) mark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marked, w.gap = time.Now(), 0
}

// longest is the longest time without a newer row since mark.
func (w *tail) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.gap, time.Since(w.last))
}

func (w *tail) since(at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.After(at)
}

func (w *tail) close() {
	w.stop()
	w.ended.Wait()
}

// stream starts the job and waits until its state is there and in a checkpoint, and rows
// come out.
func (t *telling) stream(ctx context.Context, parallelism int) (job, *tail, error) {
	keys := max(t.options.StateMB, 1) << 20 / keyBytes
	script := streamScript(filepath.Join(t.dir, "checkpoints"), keys, parallelism)
	w := t.tailOutput(ctx)
	text, err := t.call(ctx, script, "submit", "-")
	j := job{id: strings.TrimSpace(text)}
	if err != nil {
		return j, w, err
	}
	start := time.Now()
	var read time.Duration // in which all of the filling table was; zero: it is not
	var checkpoints uint64 // by then
	for {
		now, err := t.get(ctx, j)
		switch {
		case err != nil || now.Over:
			return j, w, errors.Join(err, fmt.Errorf("the job is %s", now.State), t.describe(ctx, []job{j}))
		case read == 0 && filled(now):
			read, checkpoints = time.Since(start), now.Checkpoints
		case read != 0 && now.Checkpoints > checkpoints+1: // the first of them may have begun before
			t.say("state of %d keys (about %d MB) after %v, in a checkpoint after %v", keys, t.options.StateMB,
				read.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			return j, w, pause(ctx, settle)
		case time.Since(start) > fillPatience:
			return j, w, errors.Join(errors.New("the state is not filled"), t.describe(ctx, []job{j}))
		}
		if err := pause(ctx, readyPause); err != nil {
			return j, w, err
		}
	}
}

const (
	fillPatience = 5 * time.Minute
	settle       = 3 * time.Second // for rows that have waited meanwhile
)

// filled says whether the filling table has been read: the other one never ends.
func filled(now rest.Job) bool {
	return slices.ContainsFunc(now.Vertices, func(v rest.Vertex) bool { return v.Source && finished(v) })
}

func widest(now rest.Job) (most uint32) {
	for _, v := range now.Vertices {
		most = max(most, v.Parallelism)
	}
	return most
}

// rescaled takes a job through parallelisms.
func rescaled(ctx context.Context, t *telling) error {
	j, w, err := t.stream(ctx, 1)
	defer w.close()
	if err != nil {
		return err
	}
	var late []error
	for _, p := range []string{"2", "1", "2", "1"} {
		w.mark()
		start := time.Now()
		if _, err := t.call(ctx, "", "rescale", j.id, "-p", p, "-w"); err != nil {
			return errors.Join(err, t.describe(ctx, []job{j}))
		}
		done := time.Since(start)
		if err := until(ctx, "newer rows come", func() (bool, error) { return w.since(start.Add(done)), nil }); err != nil {
			return errors.Join(err, t.describe(ctx, []job{j}))
		}
		if err := pause(ctx, settle/2); err != nil {
			return err
		}
		gap := w.longest()
		t.say("to %s: output paused for %v, done after %v; %s", p, gap.Round(time.Millisecond), done.Round(time.Millisecond), t.steps(ctx, j))
		if gap > pauseFloor || done > rescaleFloor {
			late = append(late, fmt.Errorf("to %s: a pause of %v, %v in all", p, gap, done))
		}
	}
	_, err = t.call(ctx, "", "cancel", j.id, "-w")
	return errors.Join(append(late, err)...)
}

// steps are those of the last rescaling, as the job tells them.
func (t *telling) steps(ctx context.Context, j job) (text string) {
	now, err := t.get(ctx, j)
	if err != nil {
		return err.Error()
	}
	for _, d := range now.Decisions {
		if d.Rule == "rescaled" {
			text = d.Inputs
		}
	}
	return text
}

// killUnder ends the first worker under a job, and tells how long it took until there was
// newer output of the job begun again: until the death is noticed, the subtasks that are
// left give some, too.
func (t *telling) killUnder(ctx context.Context, j job, w *tail) (*node, time.Duration, error) {
	victim := t.of(Worker)[0]
	start := time.Now()
	if err := victim.kill(); err != nil {
		return victim, 0, err
	}
	if _, err := t.jobUntil(ctx, j, "the death is noticed", func(now rest.Job) bool { return len(now.Failures) > 0 }); err != nil {
		return victim, 0, err
	}
	if _, err := t.jobUntil(ctx, j, "the job runs again", runsWhole); err != nil {
		return victim, 0, err
	}
	from := time.Now()
	err := until(ctx, "newer rows come", func() (bool, error) { return w.since(from), nil })
	if err != nil {
		err = errors.Join(err, t.describe(ctx, []job{j}))
	}
	return victim, time.Since(start), err
}

// streamWorkerKilled kills a worker under a job that has half of its subtasks there.
func streamWorkerKilled(ctx context.Context, t *telling) error {
	j, w, err := t.stream(ctx, 4)
	defer w.close()
	if err != nil {
		return err
	}
	_, took, err := t.killUnder(ctx, j, w)
	if err != nil {
		return err
	}
	now, err := t.get(ctx, j)
	if err == nil && len(now.Failures) > 0 {
		t.say("the failure: %s", now.Failures[0].Cause)
	}
	t.say("killed a worker; newer output after %v", took.Round(time.Millisecond))
	if took > outputFloor {
		err = errors.Join(err, fmt.Errorf("newer output came after %v, more than %v", took, outputFloor))
	}
	return err
}

// slotsLost kills a worker and looks how wide the job is, then and when it is back.
func slotsLost(ctx context.Context, t *telling) error {
	j, w, err := t.stream(ctx, 4)
	defer w.close()
	if err != nil {
		return err
	}
	victim, took, err := t.killUnder(ctx, j, w)
	if err != nil {
		return err
	}
	now, err := t.get(ctx, j)
	if err != nil {
		return err
	}
	t.say("killed %s: with %d subtasks instead of 4 there is newer output after %v", victim.name, widest(now), took.Round(time.Millisecond))
	if widest(now) != 2 {
		return errors.Join(errors.New("the job has not shrunk to the 2 slots that are left"), t.describe(ctx, []job{j}))
	}
	start := time.Now()
	if err := victim.start(); err != nil {
		return err
	}
	if _, err := t.jobUntil(ctx, j, "the job grows", func(now rest.Job) bool { return widest(now) == 4 && runsWhole(now) }); err != nil {
		return err
	}
	t.say("it runs with 4 again %v after the worker was started; %s", time.Since(start).Round(time.Millisecond), t.steps(ctx, j))
	_, err = t.call(ctx, "", "cancel", j.id, "-w")
	return err
}
