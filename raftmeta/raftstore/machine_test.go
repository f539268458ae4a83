package raftstore

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

// A machine that met a command it cannot read serves nothing any more: its
// state may differ from the other masters'.
func TestFailedMachineServesNothing(t *testing.T) {
	m, ctx := newMachine(10), t.Context()
	f := fsm{m: m, log: slog.New(slog.DiscardHandler)}
	if o := f.Apply(&raft.Log{Index: 1, Term: 1, Data: encodeTxn(raftmeta.Txn{}.Put("b", "k", nil, 0))}); o.(outcome).err != nil {
		t.Fatal(o)
	}
	w, err := m.watch("b", "", 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	bad := f.Apply(&raft.Log{Index: 2, Term: 1, Data: []byte("garbage")})
	good := f.Apply(&raft.Log{Index: 3, Term: 1, Data: encodeTxn(raftmeta.Txn{}.Put("b", "k", nil, raftmeta.Any))})
	_, getErr := m.get("b", "k")
	_, _, listErr := m.list("b", "")
	_, nextErr := w.Next(ctx)
	_, watchErr := m.watch("b", "", 0, 10)
	_, snapErr := f.Snapshot()
	for i, err := range []error{bad.(outcome).err, good.(outcome).err, getErr, listErr, nextErr, watchErr, snapErr} {
		if !errors.Is(err, raftmeta.ErrCorrupt) || failure.Of(err) != failure.Fatal {
			t.Errorf("call %d: got %v of class %v", i, err, failure.Of(err))
		}
	}
}

func TestRaftErrors(t *testing.T) {
	disk := errors.New("disk")
	for _, c := range []struct {
		err, want error
		class     failure.Class
	}{
		{raft.ErrNotLeader, raftmeta.ErrNotLeader, failure.Transient},
		{raft.ErrLeadershipLost, raftmeta.ErrUnknown, failure.Transient},
		{raft.ErrRaftShutdown, raftmeta.ErrClosed, failure.Cancelled},
		{context.Canceled, context.Canceled, failure.Cancelled},
		{disk, disk, failure.Fatal},
	} {
		if got := classify(c.err); !errors.Is(got, c.want) || failure.Of(got) != c.class {
			t.Errorf("%v became %v of class %v", c.err, got, failure.Of(got))
		}
	}
	conflict := &raftmeta.ConflictError{Bucket: "b", Key: "k", Expected: 3}
	if want := "metadata conflict: b/k is absent, expected at revision 3"; conflict.Error() != want {
		t.Errorf("got %q", conflict)
	}
}

// The state has a limit, which counts what is there: removing makes room.
func TestStateLimit(t *testing.T) {
	m := newMachine(10)
	put := func(key string, bytes int) error {
		_, err := m.apply(1, raftmeta.Txn{}.Put("b", key, make([]byte, bytes), raftmeta.Any))
		return err
	}
	if err := put("a", 1000); err != nil || m.size != m.state.size() {
		t.Fatalf("size %d, want %d, %v", m.size, m.state.size(), err)
	}
	more := maxStateBytes - m.size
	m.size += more // as if there were so much more
	if err := put("c", 0); !errors.Is(err, raftmeta.ErrTooLarge) || failure.Of(err) != failure.Fatal {
		t.Errorf("a full store: %v of class %v", err, failure.Of(err))
	}
	if err := put("a", 1000); err != nil {
		t.Errorf("as large as before: %v", err)
	}
	if err := put("a", 100); err != nil {
		t.Errorf("smaller than before: %v", err)
	}
	if err := put("c", 100); err != nil {
		t.Errorf("into the room: %v", err)
	}
	if _, err := m.apply(1, raftmeta.Txn{}.Delete("b", "a", raftmeta.Any).Check("b", "c", raftmeta.Any)); err != nil {
		t.Error(err)
	}
	if m.size -= more; m.size != m.state.size() {
		t.Errorf("size %d, want %d", m.size, m.state.size())
	}
}
