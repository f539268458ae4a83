package raftstore_test

// Connections that are none: garbage, silence, too many, and those for another master. The
// cluster goes on, and none of them is kept for ever.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// closed waits until the other side has closed a connection, and returns what it said.
func closed(t *testing.T, c net.Conn) string {
	t.Helper()
	said, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("it was not closed: %v", err)
	}
	return string(said)
}

func TestStrangeConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		for what, greeting := range map[string]string{
			"silence":         "",
			"half":            "TMR1\x01",
			"garbage":         "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 300),
			"newer version":   "TMR2\x01\x00",
			"no purpose":      "TMR1\x00\x00",
			"unknown purpose": "TMR1\x09\x00",
			"another master":  "TMR1\x02\x05other",
			"garbage for log": "TMR1\x01\x00\xff\xff\xff\xff",
		} {
			conn, err := c.net.dial(t.Context(), "stranger:1", address(0))
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			go func() { _, _ = io.WriteString(conn, greeting) }() // it may be closed before all is written
			said := closed(t, conn)
			if took := time.Since(begin); took > 6*time.Second {
				t.Errorf("%s: kept for %v", what, took)
			}
			if what == "another master" && !strings.Contains(said, name(0)) {
				t.Errorf("%s: it said %q", what, said)
			}
			_ = conn.Close()
		}
		c.put("k", "v")
		c.get("k", "v")
	})
}

// Any number of connections that say nothing keeps no master out.
func TestTooManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		var gone atomic.Int64
		for range 1000 {
			conn, err := c.net.dial(t.Context(), "stranger:1", address(1))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			go func() {
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					gone.Add(1)
				}
			}()
			synctest.Wait()
		}
		if n := gone.Load(); n < 900 {
			t.Errorf("only %d of 1000 were closed", n)
		}
		c.stop(0) // the others need new connections
		c.put("k", "v")
		c.get("k", "v")
		time.Sleep(10 * time.Second)
		if n := gone.Load(); n != 1000 {
			t.Errorf("%d of 1000 were closed in time", n)
		}
	})
}

// A network that fails when it is dialled, or is closed, is told as such.
func TestFailingNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errBroken := errors.New("broken")
		network := newFabric().network(address(0))
		network.Dial = func(context.Context, string) (net.Conn, error) { return nil, errBroken }
		store := open(t, raftstore.MemoryStorage(), raftstore.Options{Network: network, Bootstrap: true})
		if _, err := store.Leadership(t.Context(), raftmeta.Leadership{}); err != nil {
			t.Fatal(err)
		}
		err := store.Join(t.Context(), raftmeta.Member{ID: name(1), Address: address(1)})
		if !errors.Is(err, errBroken) || failure.Of(err) != failure.Transient {
			t.Errorf("join: %v of class %v", err, failure.Of(err))
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := store.Join(t.Context(), raftmeta.Member{}); !errors.Is(err, raftmeta.ErrClosed) {
			t.Errorf("join after close: %v", err)
		}
		if _, err := store.Members(t.Context()); !errors.Is(err, raftmeta.ErrClosed) {
			t.Errorf("members after close: %v", err)
		}
	})
}

// A master that hangs while it is joined keeps nobody from anything, and the caller decides
// how long it waits.
func TestJoinOfHangingMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 1, raftstore.Options{})
		defer c.close()
		c.storages, c.stores = append(c.storages, raftstore.MemoryStorage()), append(c.stores, nil)
		c.start(1)
		c.net.stall(address(0), address(1), true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := c.stores[0].Join(ctx, raftmeta.Member{ID: name(1), Address: address(1)})
		if failure.Of(err) != failure.Transient || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("join: %v of class %v", err, failure.Of(err))
		}
		c.put("k", "v")
		c.net.stall(address(0), address(1), false)
		c.join(1)
		members, err := c.stores[0].Members(t.Context())
		if err != nil || len(members) != 2 || !members[1].Voter {
			t.Errorf("members %+v, %v", members, err)
		}
	})
}

// Identities are checked where they come from.
func TestIdentities(t *testing.T) {
	storage := raftstore.MemoryStorage()
	if err := open(t, storage, raftstore.Options{ID: "a"}).Close(); err != nil {
		t.Fatal(err)
	}
	for id, class := range map[string]failure.Class{
		"b": failure.Usage, "with#": failure.Usage, strings.Repeat("x", 300): failure.Usage,
	} {
		if _, err := raftstore.New(t.Context(), storage, raftstore.Options{ID: id}); failure.Of(err) != class {
			t.Errorf("id %.10s: %v of class %v", id, err, failure.Of(err))
		}
	}
	var alone raftmeta.Cluster = open(t, storage, raftstore.Options{ID: "a"})
	if err := alone.Remove(t.Context(), "b"); failure.Of(err) != failure.Usage {
		t.Errorf("remove without a network: %v", err)
	}
	if err := alone.Close(); err != nil {
		t.Fatal(fmt.Errorf("close: %w", err))
	}
}
