package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// The transport inside a process behaves like a network where it matters: every
// call can fail, nobody may be there, messages and errors survive their encoding.

// calls are all methods of all clients of a dialer.
func calls(d Dialer) map[string]func(ctx context.Context) (proto.Message, error) {
	out := map[string]func(context.Context) (proto.Message, error){}
	for name, client := range map[string]any{"master": d.Master(), "worker": d.Worker("w"), "coordinator": d.Coordinator("w"), "shuffle": d.Shuffle("s")} {
		v := reflect.ValueOf(client)
		for i := range v.NumMethod() {
			method := v.Type().Method(i)
			request := method.Type.In(2)
			out[name+"."+method.Name] = func(ctx context.Context) (proto.Message, error) {
				q := reflect.New(request.Elem())
				fill(q.Interface().(proto.Message).ProtoReflect(), 3)
				got := v.MethodByName(method.Name).Call([]reflect.Value{reflect.ValueOf(ctx), q})
				err, _ := got[1].Interface().(error)
				return got[0].Interface().(proto.Message), err
			}
		}
	}
	return out
}

// fill sets every field of a message, so that nothing is forgotten on the way.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap() || f.ContainingOneof() != nil:
		case f.Message() != nil && depth > 0 && f.IsList():
			e := m.Mutable(f).List().NewElement()
			fill(e.Message(), depth-1)
			m.Mutable(f).List().Append(e)
		case f.Message() != nil && depth > 0:
			fill(m.Mutable(f).Message(), depth-1)
		case f.Kind() == protoreflect.BytesKind && !f.IsList():
			m.Set(f, protoreflect.ValueOfBytes([]byte("sixteen bytes id")))
		case f.Kind() == protoreflect.StringKind && !f.IsList():
			m.Set(f, protoreflect.ValueOfString("text"))
		case f.Kind() == protoreflect.Uint64Kind && !f.IsList():
			m.Set(f, protoreflect.ValueOfUint64(1<<40))
		}
	}
}

// echo answers every call with an empty reply and remembers the request.
type echo struct {
	got proto.Message
	err error
}

func answer[R any](e *echo, q proto.Message) (*R, error) {
	e.got = q
	if e.err != nil {
		return nil, e.err
	}
	return new(R), nil
}

func (e *echo) Register(_ context.Context, q *RegisterRequest) (*RegisterReply, error) {
	return answer[RegisterReply](e, q)
}

func (e *echo) Heartbeat(_ context.Context, q *HeartbeatRequest) (*HeartbeatReply, error) {
	return answer[HeartbeatReply](e, q)
}

func (e *echo) Report(_ context.Context, q *TaskReport) (*TaskReply, error) {
	return answer[TaskReply](e, q)
}

func (e *echo) Acknowledge(_ context.Context, q *AckRequest) (*AckReply, error) {
	return answer[AckReply](e, q)
}

func (e *echo) Leave(_ context.Context, q *LeaveRequest) (*LeaveReply, error) {
	return answer[LeaveReply](e, q)
}

func (e *echo) Decline(_ context.Context, q *DeclineRequest) (*DeclineReply, error) {
	return answer[DeclineReply](e, q)
}

func (e *echo) Deploy(_ context.Context, q *DeployRequest) (*DeployReply, error) {
	return answer[DeployReply](e, q)
}

func (e *echo) StandBy(_ context.Context, q *StandByRequest) (*StandByReply, error) {
	return answer[StandByReply](e, q)
}

func (e *echo) Cancel(_ context.Context, q *CancelRequest) (*CancelReply, error) {
	return answer[CancelReply](e, q)
}

func (e *echo) Trigger(_ context.Context, q *TriggerRequest) (*TriggerReply, error) {
	return answer[TriggerReply](e, q)
}

func (e *echo) Notify(_ context.Context, q *NotifyRequest) (*NotifyReply, error) {
	return answer[NotifyReply](e, q)
}

func (e *echo) Rewind(_ context.Context, q *RewindRequest) (*RewindReply, error) {
	return answer[RewindReply](e, q)
}

func (e *echo) Drop(_ context.Context, q *DropRequest) (*DropReply, error) {
	return answer[DropReply](e, q)
}

func (e *echo) StartCoordinator(_ context.Context, q *CoordinatorRequest) (*CoordinatorReply, error) {
	return answer[CoordinatorReply](e, q)
}

func (e *echo) NextSplit(_ context.Context, q *SplitRequest) (*SplitReply, error) {
	return answer[SplitReply](e, q)
}

func (e *echo) Reset(_ context.Context, q *ResetRequest) (*ResetReply, error) {
	return answer[ResetReply](e, q)
}

func (e *echo) Snapshot(_ context.Context, q *SnapshotRequest) (*SnapshotReply, error) {
	return answer[SnapshotReply](e, q)
}

func (e *echo) Commit(_ context.Context, q *CommitRequest) (*CommitReply, error) {
	return answer[CommitReply](e, q)
}

func (e *echo) Abort(_ context.Context, q *AbortRequest) (*AbortReply, error) {
	return answer[AbortReply](e, q)
}

func (e *echo) Gather(_ context.Context, q *GatherRequest) (*GatherReply, error) {
	return answer[GatherReply](e, q)
}

func (e *echo) Progress(_ context.Context, q *ProgressRequest) (*ProgressReply, error) {
	return answer[ProgressReply](e, q)
}

func (e *echo) Logs(_ context.Context, q *LogsRequest) (*LogsReply, error) {
	return answer[LogsReply](e, q)
}

type echoShuffle struct{ *echo }

func (e echoShuffle) Drop(_ context.Context, q *ShuffleDropRequest) (*ShuffleDropReply, error) {
	return answer[ShuffleDropReply](e.echo, q)
}

func (e echoShuffle) Drain(_ context.Context, q *DrainRequest) (*DrainReply, error) {
	return answer[DrainReply](e.echo, q)
}

func (e echoShuffle) Stats(_ context.Context, q *ShuffleStatsRequest) (*ShuffleStats, error) {
	return answer[ShuffleStats](e.echo, q)
}

func (e echoShuffle) HandOver(_ context.Context, q *HandOverRequest) (*HandOverReply, error) {
	return answer[HandOverReply](e.echo, q)
}

func (e echoShuffle) Lanes(_ context.Context, q *LanesRequest) (*LanesReply, error) {
	return answer[LanesReply](e.echo, q)
}

func TestEveryCall(t *testing.T) {
	cut := errors.New("wire cut")
	var fault error
	e := &echo{}
	l := NewLocal(LocalOptions{Serialize: true, Fault: func(string) error { return fault }})
	for name, call := range calls(l) {
		l.ServeMaster(nil)
		l.ServeWorker("w", nil, nil)
		l.ServeShuffle("s", nil)
		if _, err := call(t.Context()); !errors.Is(err, ErrUnreachable) || failure.Of(err) != failure.Transient {
			t.Errorf("%s to nobody: %v", name, err)
		}
		l.ServeMaster(e)
		l.ServeWorker("w", e, e)
		l.ServeShuffle("s", echoShuffle{e})
		if _, err := call(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wire, err := proto.Marshal(e.got)
		if err != nil || len(wire) == 0 && e.got.ProtoReflect().Descriptor().Fields().Len() > 0 {
			t.Errorf("%s: the request arrived as %v, %v", name, e.got, err)
		}
		fault = cut
		if _, err := call(t.Context()); !errors.Is(err, cut) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s over a cut wire: %v", name, err)
		}
		fault = nil
		e.err = failure.Wrap(failure.Conflict, fmt.Errorf("job 7: %w", ErrFenced))
		if _, err := call(t.Context()); !errors.Is(err, ErrFenced) || failure.Of(err) != failure.Conflict || err.Error() != e.err.Error() {
			t.Errorf("%s refused: %v (%v)", name, err, failure.Of(err))
		}
		e.err = nil
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v", name, err)
		}
	}
}

// A deposed master is refused, per job, and is told so.
func TestTerms(t *testing.T) {
	var terms Terms
	a, b := id.NewJob(), id.NewJob()
	admit := func(job id.Job, term id.Term, newer bool, want error) {
		t.Helper()
		got, isNewer, err := terms.Admit(Ref(job, term))
		if got != job || isNewer != newer || !errors.Is(err, want) {
			t.Fatalf("job %v, newer %t, %v", got, isNewer, err)
		}
	}
	admit(a, 3, false, nil)
	admit(a, 3, false, nil)
	admit(b, 1, false, nil)
	admit(a, 5, true, nil)
	admit(a, 3, false, ErrFenced)
	terms.Forget(a)
	admit(a, 3, false, nil)
	if _, _, err := terms.Admit(&JobRef{Job: []byte("short")}); failure.Of(err) != failure.Internal {
		t.Fatal(err)
	}
}

// Errors keep class and text; what nobody classified is Fatal on both sides.
func TestFailures(t *testing.T) {
	if ToFailure(nil).Err() != nil {
		t.Fatal("nil is an error")
	}
	for _, err := range []error{errors.New("plain"), failure.Errorf(failure.UserCode, "user"), context.Canceled} {
		if got := ToFailure(err).Err(); got.Error() != err.Error() || failure.Of(got) != failure.Of(err) || errors.Is(got, ErrGone) {
			t.Fatalf("%v became %v", err, got)
		}
	}
	for _, leader := range []string{"", "10.0.0.7:7000"} {
		got := ToFailure(fmt.Errorf("submit: %w", NotLeader(leader))).Err()
		if !errors.Is(got, ErrNotLeader) || failure.Of(got) != failure.Transient || LeaderOf(got) != leader {
			t.Fatalf("leader %q: %v", leader, got)
		}
	}
	if LeaderOf(errors.New("plain")) != "" {
		t.Fatal("a plain error has a leader")
	}
}

// Lost replies and messages that come twice: what is called has happened, once or
// twice.
func TestLostRepliesAndRepeatedCalls(t *testing.T) {
	lost := failure.Errorf(failure.Transient, "lost")
	n := 0
	l := NewLocal(LocalOptions{
		Lost:     func(method string) error { return map[string]error{"master.Register": lost}[method] },
		Repeated: func(method string) bool { return method == "master.Report" },
	})
	l.ServeMaster(counting{n: &n})
	if _, err := l.Master().Register(t.Context(), &RegisterRequest{}); !errors.Is(err, lost) || n != 1 {
		t.Errorf("%v after %d calls", err, n)
	}
	if _, err := l.Master().Report(t.Context(), &TaskReport{}); err != nil || n != 3 {
		t.Errorf("%v after %d calls", err, n)
	}
	if _, err := l.Master().Heartbeat(t.Context(), &HeartbeatRequest{}); err != nil || n != 4 {
		t.Errorf("%v after %d calls", err, n)
	}
}

type counting struct {
	MasterClient
	n *int
}

func (c counting) Register(context.Context, *RegisterRequest) (*RegisterReply, error) {
	*c.n++
	return &RegisterReply{}, nil
}

func (c counting) Report(context.Context, *TaskReport) (*TaskReply, error) {
	*c.n++
	return &TaskReply{}, nil
}

func (c counting) Heartbeat(context.Context, *HeartbeatRequest) (*HeartbeatReply, error) {
	*c.n++
	return &HeartbeatReply{}, nil
}
