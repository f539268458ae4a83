package hdfs

// Connections to datanodes are used again while they are fresh, and a datanode that
// failed is asked last for a while.

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/fs/hdfs/internal/datanode"
)

// watched tells whether it was closed.
type watched struct {
	net.Conn
	closed bool
}

func (w *watched) Close() error { w.closed = true; return nil }

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		first, second := &watched{}, &watched{}
		l.put("a", datanode.NewConn(first))
		if l.take("b") != nil {
			t.Error("a connection to another datanode")
		}
		c := l.take("a")
		if c == nil || l.take("a") != nil {
			t.Error("the connection is not there, or twice")
		}
		l.put("a", c)
		time.Sleep(2 * time.Second)
		l.put("b", datanode.NewConn(second))
		time.Sleep(2 * time.Second)
		if l.take("a") != nil || !first.closed || l.take("b") == nil {
			t.Error("an old connection was kept, or a fresh one was not")
		}
		for range idleLines + 1 {
			l.put("b", datanode.NewConn(&watched{}))
		}
		l.put("b", datanode.NewConn(second))
		if len(l.idle) != idleLines {
			t.Errorf("%d idle connections", len(l.idle))
		}
		late := &watched{}
		l.close()
		l.put("b", datanode.NewConn(late))
		if !second.closed || !late.closed || l.take("b") != nil {
			t.Error("connections are left after the end")
		}
	})
}

func TestFailedDatanodesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		expect := func(want ...string) {
			t.Helper()
			if got := l.order([]string{"a", "b", "c"}); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		expect("a", "b", "c")
		l.fail("a")
		time.Sleep(time.Minute)
		l.fail("b")
		expect("c", "a", "b")
		time.Sleep(distrust - 30*time.Second)
		expect("a", "c", "b")
		l.put("b", datanode.NewConn(&watched{}))
		expect("a", "b", "c")
		for i := range 2 * suspects {
			l.fail(string(rune('d' + i)))
		}
		if len(l.failed) > suspects {
			t.Errorf("%d datanodes are remembered", len(l.failed))
		}
	})
}
