package raftstore_test

// Damaged files and full disks: they are told by name, no process dies of them, and the
// other masters go on.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// A full disk stops its master, which says why. The others go on, and it comes back when
// there is room.
func TestFullDisk(t *testing.T) {
	for _, leading := range []bool{true, false} {
		t.Run(fmt.Sprintf("leading %v", leading), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &masters{TB: t, net: newFabric(), stores: make([]*raftstore.Store, 3)}
				var disks []*disk
				for i := range 3 {
					disks = append(disks, newDisk(nil))
					c.storages = append(c.storages, disks[i].mount())
					c.start(i)
					c.join(i)
				}
				defer c.close()
				c.put("k", "before")
				full := 1
				if leading {
					full = 0
				}
				disks[full].fill(true)
				stopped := c.stores[full]
				if _, err := raftmeta.Put(t.Context(), c.stores[0], "b", "k", []byte("x"), raftmeta.Any); leading == (err == nil) {
					t.Errorf("put: %v", err)
				}
				var l raftmeta.Leadership
				var err error
				for err == nil {
					l, err = stopped.Leadership(t.Context(), l)
				}
				if !errors.Is(err, errNoSpace) || failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "write metadata log") {
					t.Errorf("it stopped with %v of class %v", err, failure.Of(err))
				}
				c.stores[full] = nil
				c.put("k", "after")
				time.Sleep(time.Minute)
				c.put("k", "later")
				if err := stopped.Close(); err != nil {
					t.Error(err)
				}
				disks[full].fill(false)
				c.storages[full] = disks[full].mount()
				c.start(full)
				c.stop(2)
				c.get("k", "later")
			})
		})
	}
}

// A leader that is cut off answers nothing, though it still believes that it leads.
func TestIsolatedLeaderAnswersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		c.put("k", "v")
		old := c.leader()
		for i := range 3 {
			if i != c.index(old) {
				c.cut(c.index(old), i, true)
			}
		}
		if l, err := old.Leadership(t.Context(), raftmeta.Leadership{}); err != nil || !l.Leading {
			t.Fatalf("%+v, %v", l, err)
		}
		if _, err := old.Get(t.Context(), "b", "k"); !errors.Is(err, raftmeta.ErrNotLeader) {
			t.Errorf("got %v", err)
		}
		if _, err := raftmeta.Put(t.Context(), old, "b", "k", nil, raftmeta.Any); !errors.Is(err, raftmeta.ErrNotLeader) && !errors.Is(err, raftmeta.ErrUnknown) {
			t.Errorf("put: %v", err)
		}
		for i := range 3 {
			c.cut(c.index(old), i, false)
		}
	})
}

// A watcher hears every change once and in order, whoever leads.
func TestWatchAcrossLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		w, err := c.stores[2].Watch(t.Context(), "b", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for i := range 6 {
			c.put("k", fmt.Sprint(i))
			if i%2 == 1 && i < 5 {
				down := c.index(c.leader())
				if down != 2 {
					c.stop(down)
					c.put("k", "between")
					c.start(down)
				}
			}
		}
		last := raftmeta.Revision(0)
		for {
			e, err := w.Next(t.Context())
			if err != nil || e.Kind != raftmeta.EventPut || e.Entry.Revision != last+1 {
				t.Fatalf("%v after revision %d, %v", e, last, err)
			}
			if last = e.Entry.Revision; string(e.Entry.Value) == "5" {
				return
			}
		}
	})
}

// fill makes a directory with a log and snapshots, and returns the bytes of its log.
func fillDir(t *testing.T, dir string) []byte {
	t.Helper()
	store := openDir(t, dir, raftstore.Options{})
	for i := range 20 {
		if _, err := raftmeta.Put(t.Context(), store, "b", "k", []byte(strings.Repeat("x", i*50)), raftmeta.Any); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever happens to the log's file, a master with it starts with all that it held, or
// says that the log is corrupt. Only the last write may be lost, if its header is.
func TestDamagedLogFile(t *testing.T) {
	dir := t.TempDir()
	whole := fillDir(t, filepath.Join(dir, "whole"))
	type damage struct {
		name  string
		bytes []byte
	}
	var all []damage
	for at := 0; at < len(whole); at += 2999 {
		b := append([]byte(nil), whole...)
		b[at] ^= 0x55
		all = append(all, damage{fmt.Sprintf("flip at %d", at), b})
	}
	for size := 4096; size < len(whole); size += 1 << 14 {
		all = append(all, damage{fmt.Sprintf("cut to %d", size), whole[:size]})
	}
	for at := 4096; at+4096 <= len(whole); at += 1 << 13 {
		b := append([]byte(nil), whole...)
		clear(b[at : at+4096])
		all = append(all, damage{fmt.Sprintf("zeros at %d", at), b})
	}
	corrupt := 0
	for i, d := range all {
		bad := filepath.Join(dir, fmt.Sprint("bad", i))
		if err := os.Mkdir(bad, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bad, "raft.db"), d.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		err := startDamaged(t, bad)
		if err != nil {
			corrupt++
		}
		if err != nil && (!errors.Is(err, raftmeta.ErrCorrupt) || failure.Of(err) != failure.Fatal) {
			t.Errorf("%s: %v of class %v", d.name, err, failure.Of(err))
		}
	}
	t.Logf("%d of %d are corrupt", corrupt, len(all))
	if corrupt < len(all)/10 {
		t.Errorf("only %d of %d damages were noticed", corrupt, len(all))
	}
}

// startDamaged returns why a master does not start; one that does has what was put last, or
// just before.
func startDamaged(t *testing.T, dir string) error {
	s, err := raftstore.DirStorage(dir)
	if err != nil {
		return err
	}
	store, err := raftstore.New(t.Context(), s, raftstore.Options{})
	if err != nil {
		return err
	}
	e, err := store.Get(t.Context(), "b", "k")
	if err != nil || e.Revision < 19 || len(e.Value) != (int(e.Revision)-1)*50 {
		t.Errorf("got %d bytes at %d, %v", len(e.Value), e.Revision, err)
	}
	return store.Close()
}
