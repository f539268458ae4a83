package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// The end of a job with checkpoints, as the simulation has taught it: another leader must not
// find a job that is not over and has no checkpoints any more, and nothing staged may be left
// that nobody can publish.

// known are the entries of checkpoints that there are.
func (s *streamStage) known() (keys []string) {
	all, _, _ := s.kept.Meta.List(s.t.Context(), "", "")
	for _, e := range all {
		keys = append(keys, e.Key)
	}
	return keys
}

func TestTheEndIsRecordedBeforeCheckpointsAreForgotten(t *testing.T) {
	for name, c := range map[string]struct {
		recorded error
		want     execgraph.JobState
		left     bool // entries
	}{
		"recorded": {nil, execgraph.JobFinished, false},
		"refused":  {errors.New("no room"), execgraph.JobFinished, true}, // they cost a few bytes
		"deposed":  {fmt.Errorf("%w: another one leads", ErrDeposed), execgraph.JobSuspended, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStream(t)
				before := 0
				o := Options{Ends: func(_ context.Context, state execgraph.JobState, cause error) error {
					if state != execgraph.JobFinished || cause != nil {
						t.Errorf("it ends as %v, %v", state, cause)
					}
					before = len(s.known())
					return c.recorded
				}}
				s.play(o, func() {
					r := s.begun("0.0#0")
					s.checkpoint(r, "a")
					s.finish(r, "b")
					s.ends(c.want)
				})
				if left := s.known(); before == 0 || len(left) > 0 != c.left {
					t.Errorf("%d checkpoints when the end was recorded, then %v", before, left)
				}
			})
		})
	}
}

// cancel ends the job, whose attempt obeys.
func (s *streamStage) cancel(r *rpc.DeployRequest) {
	s.m.Cancel()
	synctest.Wait()
	s.report(r, rpc.TaskState_TASK_STATE_CANCELLED, nil)
}

func TestWhatNobodyKnowsOfIsSwept(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(s *streamStage, r *rpc.DeployRequest)
		want execgraph.JobState
		by   []string
	}{
		"finished":  {func(s *streamStage, r *rpc.DeployRequest) { s.finish(r, "b") }, execgraph.JobFinished, []string{"w1"}},
		"cancelled": {(*streamStage).cancel, execgraph.JobCanceled, []string{"w1"}},
		"not published": {func(s *streamStage, r *rpc.DeployRequest) {
			s.when(func(_ context.Context, at string) error {
				if at == "w1 Commit" {
					return errNobody
				}
				return nil
			})
			s.checkpoint(r, "b")
			s.cancel(r)
		}, execgraph.JobCanceled, nil}, // who goes on from it publishes b
	} {
		t.Run(name, func(t *testing.T) {
			onStream(t, func(s *streamStage) {
				s.checkpoint(s.begun("0.0#0"), "a")
				s.die("w2", false)
				time.Sleep(5 * time.Second)
				c.end(s, s.begun("0.0#1"))
				s.ends(c.want)
				if !slices.Equal(s.swept, c.by) {
					t.Errorf("swept by %v, want %v", s.swept, c.by)
				}
			})
		})
	}
}

// A manifest whose leader was deposed before it had its entry is no checkpoint: it goes before
// what it names does.
func TestIncompleteCheckpointsGoBeforeASweep(t *testing.T) {
	onStream(t, func(s *streamStage) {
		r := s.begun("0.0#0")
		s.checkpoint(r, "a")
		if _, err := s.kept.Files.Save(t.Context(), &checkpoint.Manifest{Checkpoint: 7}); err != nil {
			t.Fatal(err)
		}
		s.cancel(r)
		s.ends(execgraph.JobCanceled)
		left, err := s.kept.Files.Checkpoints(t.Context(), id.Job{1})
		if err != nil || !slices.Equal(left, []id.Checkpoint{1}) || len(s.swept) != 1 {
			t.Errorf("left %v, %v; swept by %v", left, err, s.swept)
		}
	})
}

// The next leader looks for its checkpoint until storage answers, and not for ever.
func TestCheckpointsAreLookedForAgain(t *testing.T) {
	for name, c := range map[string]struct {
		fails int64
		want  execgraph.JobState
	}{"for a while": {3, execgraph.JobFinished}, "for ever": {1000, execgraph.JobFailed}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStream(t)
				s.play(Options{}, func() { s.checkpoint(s.begun("0.0#0"), "a") })
				files := &unreadable{Files: s.kept.Files}
				files.left.Store(c.fails)
				s.kept.Files = files
				s.play(Options{Runs: 1}, func() {
					time.Sleep(time.Second)
					if c.want == execgraph.JobFinished {
						r := s.begun(fmt.Sprintf("0.0#%d", attemptsPerRun))
						if n := r.GetRestore().GetCheckpoint(); n != 1 {
							t.Errorf("it starts from checkpoint %d", n)
						}
						s.finish(r, "b")
					}
					s.ends(c.want)
				})
				if tried := c.fails - files.left.Load(); tried < min(c.fails, handTries) {
					t.Errorf("tried %d times", tried)
				}
			})
		})
	}
}

// unreadable are files whose manifests cannot be read so many times.
type unreadable struct {
	checkpointing.Files
	left atomic.Int64
}

func (u *unreadable) Load(ctx context.Context, name string) (*checkpoint.Manifest, error) {
	if u.left.Add(-1) >= 0 {
		return nil, failure.Errorf(failure.Transient, "no answer")
	}
	return u.Files.Load(ctx, name)
}
