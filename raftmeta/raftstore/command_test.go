package raftstore

// The bytes in the log and in snapshots: what a released version wrote stays
// readable, and nothing else is read.

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/tidemill/tidemill/raftmeta"
)

func sample() raftmeta.Txn {
	return raftmeta.Txn{Term: 7}.
		Put("jobs", "a", []byte("value"), raftmeta.Absent).
		Delete("jobs", "b", raftmeta.Any).
		Check("leases", "c", 300)
}

func TestGoldenCommand(t *testing.T) {
	const golden = "01" + "0700000000000000" + "03" +
		"01046a6f627301610576616c756500" +
		"02046a6f62730162" + "00" + "ffffffffffffffffff01" +
		"03066c6561736573016300ac02"
	b := encodeTxn(sample())
	if got := hex.EncodeToString(b[:len(b)-4]); got != golden {
		t.Fatalf("encoded as\n%s, want\n%s", got, golden)
	}
	got, err := decodeTxn(b)
	if err != nil || len(got.Ops) != 3 || got.Term != 7 || !bytes.Equal(encodeTxn(got), b) {
		t.Fatalf("read back as %+v, %v", got, err)
	}
}

func TestDamagedCommand(t *testing.T) {
	b := encodeTxn(sample())
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if _, err := decodeTxn(bad); !errors.Is(err, raftmeta.ErrCorrupt) {
			t.Fatalf("byte %d damaged: %v", i, err)
		}
		if _, err := decodeTxn(b[:i]); !errors.Is(err, raftmeta.ErrCorrupt) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// seal puts a right checksum on bytes, so that fuzzing reaches behind it.
func seal(b []byte) []byte {
	s := checksum(b)
	return append(bytes.Clone(b), byte(s), byte(s>>8), byte(s>>16), byte(s>>24))
}

func FuzzCommand(f *testing.F) {
	b := encodeTxn(sample())
	f.Add(b[:len(b)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		txn, err := decodeTxn(seal(body))
		if err != nil {
			if !errors.Is(err, raftmeta.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeTxn(encodeTxn(txn))
		if err != nil || !reflect.DeepEqual(again, txn) {
			t.Fatalf("%+v read back as %+v, %v", txn, again, err)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	m := newMachine(10)
	if _, err := m.apply(1, raftmeta.Txn{}.Put("b", "k", []byte("v"), 0).Put("a", "k", nil, 0)); err != nil {
		f.Fatal(err)
	}
	b := (&snapshot{state: m.state, revision: m.revision}).encode()
	f.Add(b[:len(b)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		state, rev, err := decodeSnapshot(seal(body))
		if err != nil {
			if !errors.Is(err, raftmeta.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, rev2, err := decodeSnapshot((&snapshot{state: state, revision: rev}).encode())
		if err != nil || rev2 != rev || !reflect.DeepEqual(again, state) {
			t.Fatalf("%v at %d read back as %v at %d, %v", state, rev, again, rev2, err)
		}
	})
}

// A snapshot does not change with the machine, and restoring it tells watchers.
func TestSnapshotRestore(t *testing.T) {
	m, ctx := newMachine(10), t.Context()
	put := func(v string) {
		t.Helper()
		if _, err := m.apply(1, raftmeta.Txn{}.Put("b", "k", []byte(v), raftmeta.Any)); err != nil {
			t.Fatal(err)
		}
	}
	put("old")
	state, rev, err := m.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	put("new")
	w, err := m.watch("b", "", 2, 10)
	if err != nil {
		t.Fatal(err)
	}
	state, rev, err = decodeSnapshot((&snapshot{state: state, revision: rev}).encode())
	if err != nil {
		t.Fatal(err)
	}
	m.restore(state, rev)
	if ev, err := w.Next(ctx); err != nil || ev.Kind != raftmeta.EventResync || ev.Entry.Revision != 1 {
		t.Fatalf("got %v, %v", ev, err)
	}
	if e, err := m.get("b", "k"); err != nil || string(e.Value) != "old" {
		t.Fatalf("got %+v, %v", e, err)
	}
}
