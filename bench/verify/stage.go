package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/bench/tpch"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// stage is where a scenario is played: a cluster, and a job that it can run often. Each
// run writes a directory of its own.
type stage struct {
	*cluster
	want   string // what each job writes, by sums
	output string // the directory of the jobs' directories
	jobs   int
	undo   []func() error // of what was prepared, for the end
}

// job is one that was submitted.
type job struct{ id, dir string }

const (
	stageTable = `CREATE TABLE target (l_shipdate DATE, o_orderpriority VARCHAR, price DECIMAL(38, 2), quantity DECIMAL(38, 2), l_month INT)
WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'parquet');
`
	stageTargets = `INSERT OVERWRITE target `
)

// stored has jobs keep what their stages write at shuffle servers, and restart.
func stored() []string { return modes()[2].settings }

// expected is what each job writes, as the embedded engine says.
func (o Options) expected(ctx context.Context) (string, error) {
	a, err := o.ask(ctx, tpch.Views(o.Data)+fmt.Sprintf(overwriteSums, "("+fmt.Sprintf(overwriteQuery, 0)+")"), nil)
	if err == nil && a.code != 0 {
		err = fmt.Errorf("the job of the scenarios, in the embedded engine: %v", a)
	}
	return a.rows, err
}

// call runs a verb of the program against the cluster, which must succeed.
func (s *stage) call(ctx context.Context, input string, args ...string) (string, error) {
	a, err := s.options.command(ctx, input, append(args, "--cluster", strings.Join(s.masters(), ","))...)
	if err == nil && a.code != 0 {
		err = fmt.Errorf("tidemill %s: %v", args[0], a)
	}
	return a.rows, err
}

// script is the statement of the next job, and where it writes.
func (s *stage) script() (script, dir string) {
	s.jobs++
	dir = filepath.Join(s.output, fmt.Sprint(s.jobs))
	return tpch.Views(s.options.Data) + fmt.Sprintf(stageTable, dir) + stageTargets + fmt.Sprintf(overwriteQuery, 0) + ";\n", dir
}

// submit starts the next job.
func (s *stage) submit(ctx context.Context, settings ...string) (job, error) {
	script, dir := s.script()
	printed, err := s.call(ctx, script, append([]string{"submit", "-"}, settings...)...)
	return job{id: strings.TrimSpace(printed), dir: dir}, err
}

// get asks for a job as `tidemill get` shows it.
func (s *stage) get(ctx context.Context, j job) (now rest.Job, err error) {
	printed, err := s.call(ctx, "", "get", j.id, "-o", "json")
	if err != nil {
		return now, err
	}
	return now, json.Unmarshal([]byte(printed), &now)
}

// start starts all nodes and waits until the cluster answers and knows all of them: with less
// than its slots and shuffle servers a job runs another way, and masters that have not joined
// are no majority.
func (s *stage) start(ctx context.Context) error {
	if err := s.cluster.start(ctx); err != nil {
		return err
	}
	return until(ctx, "all nodes are known", func() (bool, error) {
		all, err := s.members(ctx)
		known := func(n *node) bool {
			return slices.ContainsFunc(all, func(m rest.Node) bool { return rpc.AddressOf(m.ID) == n.address && !m.Lost && !m.Joining })
		}
		return !slices.ContainsFunc(s.nodes, func(n *node) bool { return !known(n) }), err
	})
}

// members asks for the processes that the cluster knows.
func (s *stage) members(ctx context.Context) (all []rest.Node, err error) {
	printed, err := s.call(ctx, "", "nodes", "-o", "json")
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal([]byte(printed), &all)
}

// member is how the cluster calls a node; empty: it does not know it.
func (s *stage) member(ctx context.Context, n *node) (string, error) {
	all, err := s.members(ctx)
	for _, m := range all {
		if m.Address == n.address {
			return m.ID, err
		}
	}
	return "", err
}

const (
	scenarioPatience = 30 * time.Second
	scenarioPause    = 50 * time.Millisecond
)

// until asks again and again whether something holds.
func until(ctx context.Context, what string, holds func() (bool, error)) error {
	deadline := time.Now().Add(scenarioPatience)
	for {
		ok, err := holds()
		if ok && err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("not within %v: %s", scenarioPatience, what), err)
		}
		if err := pause(ctx, scenarioPause); err != nil {
			return err
		}
	}
}

// jobUntil follows a job until something holds of it.
func (s *stage) jobUntil(ctx context.Context, j job, what string, holds func(rest.Job) bool) (now rest.Job, err error) {
	err = until(ctx, what, func() (bool, error) {
		if now, err = s.get(ctx, j); err == nil && now.Over && !holds(now) {
			return false, fmt.Errorf("the job is over: %s", now.State)
		}
		return err == nil && holds(now), err
	})
	if err != nil {
		err = errors.Join(err, s.describe(ctx, []job{j}))
	}
	return now, err
}

// describe is an error that tells how jobs are.
func (s *stage) describe(ctx context.Context, jobs []job) error {
	var all []error
	for _, j := range jobs {
		text, err := s.call(ctx, "", "get", j.id)
		all = append(all, errors.New(text), err)
	}
	return errors.Join(all...)
}

// right waits until a job has finished and compares what it has written.
func (s *stage) right(ctx context.Context, j job) (rest.Job, error) {
	now, err := s.jobUntil(ctx, j, "the job has finished", func(now rest.Job) bool { return now.State == "FINISHED" })
	if err != nil {
		return now, err
	}
	return now, s.holds(ctx, j.dir)
}

// holds wants a directory to hold what a job writes, and nothing else.
func (s *stage) holds(ctx context.Context, dir string) error {
	a, err := s.options.ask(ctx, fmt.Sprintf(stageTable, dir)+fmt.Sprintf(overwriteSums, "target"), nil)
	switch {
	case err != nil:
		return err
	case a.code != 0:
		return fmt.Errorf("read what the job has written: %v", a)
	case a.rows != s.want:
		return fmt.Errorf("the job has written something else: %s", unlike(a.rows, s.want))
	}
	return tidy(dir)
}

// whole waits until no job's file is left anywhere.
func (s *stage) whole(ctx context.Context) error {
	files, err := s.leftovers(ctx)
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("files are left: %s", strings.Join(files, ", "))
	}
	return err
}

// held is a job whose first stage is done and whose second waits to read it.
type held struct {
	job
	then rest.Job
}

// holdAfterStage submits a job and holds it where its first stored stage is done and the
// second is about to read. release lets it go on.
func (s *stage) holdAfterStage(ctx context.Context) (h held, release func() error, err error) {
	return s.holdAt(ctx, failpoint.ShuffleRead, "the first stage is done and the second reads", func(now rest.Job) bool { return len(stageDone(now)) > 0 })
}

// holdAt submits a job with stored stages and holds whatever of it comes to a point, once
// something holds of it, too.
func (s *stage) holdAt(ctx context.Context, point, what string, holds func(rest.Job) bool) (h held, release func() error, err error) {
	release = func() error { return s.points.Disarm(point) }
	if err := s.points.Arm(point, failpoint.Hold, 1); err != nil {
		return h, release, err
	}
	before, err := s.points.Hits()
	if err != nil {
		return h, release, err
	}
	if h.job, err = s.submit(ctx, stored()...); err != nil {
		return h, release, err
	}
	h.then, err = s.jobUntil(ctx, h.job, what, func(now rest.Job) bool {
		hits, err := s.points.Hits()
		return err == nil && hits[point] > before[point] && holds(now)
	})
	return h, release, err
}

// stageDone are the sources of a job if all their subtasks have finished.
func stageDone(now rest.Job) (done []rest.Vertex) {
	for _, v := range now.Vertices {
		if !v.Source {
			continue
		}
		if !finished(v) {
			return nil
		}
		done = append(done, v)
	}
	return done
}

func finished(v rest.Vertex) bool {
	return v.Parallelism > 0 && v.Subtasks["FINISHED"] == v.Parallelism
}

// attemptsOf are a vertex's in a job's description.
func attemptsOf(now rest.Job, vertex uint32) []uint32 {
	for _, v := range now.Vertices {
		if v.ID == vertex {
			return v.Attempts
		}
	}
	return nil
}

// changed counts the subtasks of a vertex whose attempt is another one.
func changed(before, after []uint32) (n int) {
	if len(before) != len(after) {
		return max(len(before), len(after))
	}
	for i := range before {
		if before[i] != after[i] {
			n++
		}
	}
	return n
}

// attemptsTable prints the attempts of a job's vertices before and after.
func attemptsTable(before, after rest.Job) string {
	var b strings.Builder
	for _, v := range after.Vertices {
		fmt.Fprintf(&b, "    vertex %d, region %d, attempts %v -> %v  %s\n", v.ID, v.Region, attemptsOf(before, v.ID), v.Attempts, oneLine(v.Name))
	}
	return b.String()
}

func oneLine(text string) string {
	const most = 60
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// workersOf are the workers that a job's attempts ran at.
func workersOf(vertices []rest.Vertex) (all []string) {
	for _, v := range vertices {
		all = append(all, v.Workers...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
