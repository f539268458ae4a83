package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/bench/tpch"
	"github.com/tidemill/tidemill/core/failpoint"
)

// diskScenarios are about disks that are full.
func diskScenarios() []Scenario {
	return []Scenario{{
		Name:  "disk-full",
		Shows: "the disk of each role and of the output is full: an error by name, nothing lost, and all works once there is room",
		shape: Shape{Masters: 1, Workers: 1, Shuffles: 1}, nodes: smallDisks, play: diskFull,
	}}
}

// errNotShown is the error of a scenario that this machine has no means for.
var errNotShown = errors.New("cannot be shown here")

const (
	// smallDiskBytes is room for what a role writes under the job of the scenarios.
	smallDiskBytes = 64 << 20
	// Little memory, so that a worker spills; shuffle servers have less anyway.
	smallMemory = "64 mb"
	// diskPatience is how long a client may wait for a cluster with a full disk.
	diskPatience = 8 * time.Second
)

// smallDisks gives each node's data and the output a disk of its own.
func smallDisks(s *stage) error {
	for _, n := range s.nodes {
		if err := s.smallDisk(n.dir); err != nil {
			return err
		}
		if n.role == Worker {
			n.more = []string{"-D", "worker.memory.size=" + smallMemory}
		}
	}
	return s.smallDisk(s.output)
}

func (s *stage) smallDisk(dir string) error {
	remove, err := smallDisk(dir, smallDiskBytes)
	if err == nil {
		s.undo = append(s.undo, remove)
	}
	return err
}

// diskFull fills one disk after the other.
func diskFull(ctx context.Context, t *telling) error {
	groups, err := t.spilled(ctx)
	if err != nil {
		return err
	}
	works := func(ctx context.Context, when string) error {
		return errors.Join(t.insert(ctx, when), groups(ctx, when))
	}
	if err := works(ctx, "with room everywhere"); err != nil {
		return err
	}
	hits, err := t.points.Hits()
	if err != nil {
		return err
	}
	if hits[failpoint.SpillWrite] == 0 {
		return errors.New("the worker has not spilled, so that its disk does not matter")
	}
	var all []error
	for _, d := range []struct {
		name string
		dir  string
		node *node
	}{
		{"output", t.output, nil},
		{"worker", t.of(Worker)[0].dir, t.of(Worker)[0]},
		{"shuffle", t.of(Shuffle)[0].dir, t.of(Shuffle)[0]},
		{"master", t.of(Master)[0].dir, t.of(Master)[0]},
	} {
		script, target := t.script()
		if d.name == "worker" {
			script = t.spills()
		}
		a, err := t.full(ctx, d.name, d.dir, d.node, script)
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", d.name, err))
		}
		if err := errors.Join(t.ended(ctx, a, target), t.whole(ctx), works(ctx, "with room again")); err != nil {
			all = append(all, fmt.Errorf("%s: %w", d.name, err))
		}
	}
	return errors.Join(all...)
}

// spills is a query that does not fit a worker's memory.
func (t *telling) spills() string {
	return tpch.Views(t.options.Data) + "SELECT COUNT(*) AS n FROM (SELECT DISTINCT l_orderkey, l_comment FROM lineitem);\n"
}

// spilled returns what runs that query and compares its answer with the embedded engine's.
func (t *telling) spilled(ctx context.Context) (func(ctx context.Context, when string) error, error) {
	want, err := t.options.ask(ctx, t.spills(), nil)
	return func(ctx context.Context, when string) error {
		a, err := t.options.ask(ctx, t.spills(), t.masters())
		if err == nil && (a.code != 0 || a.rows != want.rows) {
			err = fmt.Errorf("a query that spills, %s: %q instead of %q, %v", when, a.rows, want.rows, a)
		}
		return err
	}, err
}

// insert runs the job to its end, which must be right.
func (t *telling) insert(ctx context.Context, when string) error {
	script, dir := t.script()
	a, err := t.options.ask(ctx, script, t.masters(), stored()...)
	if err != nil {
		return err
	}
	if a.code != 0 {
		return fmt.Errorf("%s: %v", when, a)
	}
	if err := t.holds(ctx, dir); err != nil {
		return fmt.Errorf("%s: %w", when, err)
	}
	return errors.Join(t.whole(ctx), os.RemoveAll(dir))
}

// full fills a disk, sees what becomes of a job and of the process, and makes room. It
// returns what the job's client said.
func (t *telling) full(ctx context.Context, name, dir string, n *node, script string) (a answer, err error) {
	filler := filepath.Join(dir, "filler")
	before, err := t.call(ctx, "", "list")
	if err != nil {
		return a, err
	}
	if err := fill(filler); err != nil {
		return a, err
	}
	impatient := t.options
	impatient.Patience = diskPatience
	a, err = impatient.ask(ctx, script, t.masters(), "-D", "exchange.batch-retention=job", "-D", "restart-strategy.type=none")
	if err != nil {
		return a, err
	}
	lives, named := "all processes live", a.code > 0 && strings.Contains(a.notes, syscall.ENOSPC.Error())
	var all []error
	for _, other := range t.nodes {
		if other.alive() {
			continue
		}
		words := other.lastWords()
		lives = other.name + " has ended: " + words[strings.LastIndexByte(words, '\n')+1:]
		if other != n || !strings.Contains(lives, syscall.ENOSPC.Error()) {
			all = append(all, fmt.Errorf("%s: %w", lives, other.ending()))
		}
		named = named || other == n // its client knows only that it does not answer
	}
	t.say("%s full: exit code %d after %v, %s; %s", name, a.code, a.took.Round(time.Millisecond), oneSentence(a.notes), lives)
	if !named {
		all = append(all, fmt.Errorf("want an error that says %q: %v", syscall.ENOSPC.Error(), a))
	}
	if err := os.Remove(filler); err != nil {
		return a, err
	}
	for _, other := range t.nodes {
		if !other.alive() {
			all = append(all, other.start())
		}
	}
	after, err := t.call(ctx, "", "list", "-o", "json")
	for line := range strings.Lines(before) {
		if id, _, _ := strings.Cut(line, " "); len(id) == 32 && !strings.Contains(after, id) {
			all = append(all, fmt.Errorf("job %s is lost", id))
		}
	}
	return a, errors.Join(append(all, err)...)
}

// ended wants a job that has failed to have left no file. One whose client gave up waiting
// for an answer may have been accepted: it must have written all or nothing in the end.
func (t *telling) ended(ctx context.Context, a answer, dir string) error {
	if a.code >= 0 {
		return leftIn(dir)
	}
	return until(ctx, "a job whose client knows nothing has written all or nothing", func() (bool, error) {
		if leftIn(dir) == nil {
			return true, nil
		}
		err := t.holds(ctx, dir)
		return err == nil, err
	})
}

// fill writes a file until nothing more fits.
func fill(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	piece := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(piece)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// leftIn wants no file in a directory of a job that has failed.
func leftIn(dir string) error {
	return filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !d.IsDir() {
			err = fmt.Errorf("a job that failed has left %s", name)
		}
		return err
	})
}
