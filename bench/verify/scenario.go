package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Scenario is a story that is not left to chance: a cluster, something that happens to it
// at a known moment, and what must come of it.
type Scenario struct {
	Name  string
	Shows string
	// Long ones are played only when they are named.
	Long  bool
	shape Shape
	// nodes prepares the nodes before they start; nil: they are as they are.
	nodes func(*stage) error
	play  func(context.Context, *telling) error
}

// telling is a scenario that is played: its stage, and what it tells.
type telling struct {
	*stage
	say func(format string, args ...any)
}

// Scenarios lists all of them in the order in which they are played.
func Scenarios() []Scenario {
	return slices.Concat(stageScenarios(), failoverScenarios(), diskScenarios(), doorScenarios(), rescaleScenarios(), betweenScenarios(), unalignedScenarios(), restartScenarios(), burstScenarios())
}

// RunScenarios plays those that are named, all short ones where none is, each on a cluster of its
// own, and fails when one of them is not so.
func RunScenarios(ctx context.Context, o Options, names []string) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if err := o.prepare(ctx); err != nil {
		return err
	}
	want, err := o.expected(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	var failed []error
	for _, s := range chosen {
		if err := o.scenario(ctx, s, want); err != nil && (len(names) > 0 || !errors.Is(err, errNotShown)) {
			failed = append(failed, fmt.Errorf("scenario %s: %w", s.Name, err))
		}
	}
	fmt.Fprintf(o.Out, "%d of %d scenarios are so, in %v\n", len(chosen)-len(failed), len(chosen), time.Since(start).Round(time.Second))
	return errors.Join(failed...)
}

func choose(names []string) (chosen []Scenario, err error) {
	all := Scenarios()
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(s Scenario) bool { return s.Long }), nil
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
		if i < 0 {
			var known []string
			for _, s := range all {
				known = append(known, s.Name)
			}
			return nil, failure.Errorf(failure.Usage, "scenario %q is none of %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// scenario plays one and tells how it went. Its directory stays when it is not so.
func (o Options) scenario(ctx context.Context, s Scenario, want string) (err error) {
	dir := filepath.Join(o.Scratch, "scenario-"+s.Name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	c, err := newCluster(o, s.shape, dir)
	if err != nil {
		return err
	}
	start := time.Now()
	fmt.Fprintf(o.Out, "%s: %s\n", s.Name, s.Shows)
	defer func() {
		if err != nil {
			fmt.Fprintf(o.Out, "  NOT SO after %v, logs and goroutines are in %s: %v\n", time.Since(start).Round(time.Millisecond), c.logs(), err)
			return
		}
		fmt.Fprintf(o.Out, "  so, in %v\n", time.Since(start).Round(time.Millisecond))
		err = os.RemoveAll(dir)
	}()
	t := &telling{
		stage: &stage{cluster: c, want: want, output: filepath.Join(dir, "output")},
		say:   func(format string, args ...any) { fmt.Fprintf(o.Out, "  "+format+"\n", args...) },
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.dumpAll())
		}
		err = errors.Join(err, c.killAll())
		for _, undo := range t.undo {
			err = errors.Join(err, undo())
		}
	}()
	if s.nodes != nil {
		if err := s.nodes(t.stage); err != nil {
			return err
		}
	}
	if err := t.start(ctx); err != nil {
		return err
	}
	return s.play(ctx, t)
}
