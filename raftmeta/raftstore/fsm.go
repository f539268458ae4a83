package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

// fsm lets Raft drive the machine.
type fsm struct {
	m   *machine
	log *slog.Logger
}

var (
	_ raft.FSM                = (*fsm)(nil)
	_ raft.ConfigurationStore = (*fsm)(nil)
)

// outcome is what Apply answers to the proposer.
type outcome struct {
	term     id.Term
	revision raftmeta.Revision
	err      error
}

func (f *fsm) Apply(l *raft.Log) any {
	term := id.Term(l.Term)
	txn, err := decodeTxn(l.Data)
	if err != nil {
		err = f.m.fail(failure.Errorf(failure.Fatal, "log entry %d: %w", l.Index, err))
		return outcome{term: term, err: err}
	}
	_ = failpoint.Hit(failpoint.RaftApply) // a committed entry is applied: there is no error to return
	rev, err := f.m.apply(term, txn)
	return outcome{term: term, revision: rev, err: err}
}

func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	state, revision, err := f.m.snapshot()
	if err != nil {
		return nil, err
	}
	return &snapshot{state: state, revision: revision, log: f.log}, nil
}

// StoreConfiguration implements raft.ConfigurationStore: it hears of new members.
func (f *fsm) StoreConfiguration(index uint64, c raft.Configuration) {
	var members []string
	for _, s := range c.Servers {
		members = append(members, fmt.Sprintf("%s %v", s.Address, s.Suffrage))
	}
	f.log.Info("metadata members", "members", members, "index", index)
}

func (f *fsm) Restore(r io.ReadCloser) error {
	b, err := io.ReadAll(io.LimitReader(r, maxSnapshotBytes+1))
	err = errors.Join(err, r.Close())
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	state, revision, err := decodeSnapshot(b)
	if err != nil {
		return failure.Wrap(failure.Fatal, err)
	}
	f.m.restore(state, revision)
	f.log.Info("metadata snapshot restored", "bytes", len(b), "revision", uint64(revision))
	return nil
}

const (
	snapshotMagic = "TMRM"
	// maxSnapshotBytes bounds what is read: a state within its limit takes less.
	maxSnapshotBytes = 4 * maxStateBytes
)

// snapshot is a state that does not change any more.
type snapshot struct {
	state    buckets
	revision raftmeta.Revision
	log      *slog.Logger
}

func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	b := s.encode()
	_, err := sink.Write(b)
	if err != nil {
		err = errors.Join(err, sink.Cancel())
	} else {
		err = sink.Close()
	}
	if err != nil {
		s.log.Error("metadata snapshot failed", "error", err)
		return fmt.Errorf("write snapshot: %w", err)
	}
	s.log.Info("metadata snapshot", "bytes", len(b), "revision", uint64(s.revision))
	return nil
}

func (s *snapshot) Release() {}

// encode writes the entries in the order of buckets and keys, so that equal
// states have equal snapshots.
func (s *snapshot) encode() []byte {
	n := 0
	for _, keys := range s.state {
		n += len(keys)
	}
	b := append([]byte(snapshotMagic), snapshotVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.revision))
	b = binary.AppendUvarint(b, uint64(n))
	for _, bucket := range slices.Sorted(maps.Keys(s.state)) {
		keys := s.state[bucket]
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			b = appendText(b, string(bucket))
			b = appendText(b, key)
			b = appendText(b, keys[key].Value)
			b = binary.AppendUvarint(b, uint64(keys[key].Revision))
		}
	}
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func decodeSnapshot(b []byte) (buckets, raftmeta.Revision, error) {
	body, err := verify(b)
	if err != nil {
		return nil, 0, fmt.Errorf("snapshot: %w", err)
	}
	r := reader{b: body}
	if magic, v := r.take(4), r.byte(); string(magic) != snapshotMagic || v != snapshotVersion {
		return nil, 0, fmt.Errorf("snapshot: %w: begins with %q, version %d", raftmeta.ErrCorrupt, magic, v)
	}
	revision, state := raftmeta.Revision(r.uint64()), buckets{}
	for n := r.count(); n > 0 && !r.bad; n-- {
		e := raftmeta.Entry{Bucket: raftmeta.Bucket(r.bytes()), Key: string(r.bytes()), Value: r.bytes()}
		e.Revision = raftmeta.Revision(r.uvarint())
		if state[e.Bucket] == nil {
			state[e.Bucket] = map[string]raftmeta.Entry{}
		}
		state[e.Bucket][e.Key] = e
	}
	if r.bad || len(r.b) > 0 {
		return nil, 0, fmt.Errorf("snapshot: %w: malformed", raftmeta.ErrCorrupt)
	}
	return state, revision, nil
}
