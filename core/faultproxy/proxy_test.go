package faultproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/bits"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener in memory, so that time can be fake.
type pipes struct {
	waiting chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func newPipes() *pipes { return &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.waiting:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipes) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }
func (l *pipes) Dial(ctx context.Context) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case l.waiting <- theirs:
		return mine, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// echo answers every connection with what it says, until the listener is closed.
func echo(t *testing.T, l net.Listener) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
}

// between returns a proxy in front of an echo, in memory, and a connection to it.
func between(t *testing.T, seed uint64) (*faultproxy.Proxy, net.Conn) {
	t.Helper()
	server, front := newPipes(), newPipes()
	echo(t, server)
	p := faultproxy.New(faultproxy.Options{Listener: front, Dial: server.Dial, Seed: seed})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := front.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return p, c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBytesPassUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := between(t, 1)
		say(t, c, "hello")
		if got := hear(t, c, 5); got != "hello" {
			t.Errorf("%q", got)
		}
		synctest.Wait()
		if n := p.Counts(); n.BytesUp != 5 || n.BytesDown != 5 || n.Connections != 1 || n.Corrupted+n.Swallowed+n.Resets != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestLatencyIsThatOfItsDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := between(t, 1)
		for _, f := range []struct {
			faultproxy.Fault
			least, most time.Duration
		}{
			{faultproxy.Fault{}, 0, 0},
			{faultproxy.Fault{On: faultproxy.Up, Latency: time.Second}, time.Second, time.Second},
			{faultproxy.Fault{Latency: time.Second}, 2 * time.Second, 2 * time.Second},
			{faultproxy.Fault{On: faultproxy.Down, Latency: time.Second, Jitter: time.Second}, time.Second + 1, 2 * time.Second},
		} {
			p.Set(f.Fault)
			start := time.Now()
			say(t, c, "x")
			hear(t, c, 1)
			if took := time.Since(start); took < f.least || took > f.most {
				t.Errorf("%+v: %v", f.Fault, took)
			}
		}
	})
}

func TestStallHoldsUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := between(t, 1)
		p.Set(faultproxy.Fault{Stall: true})
		say(t, c, "late")
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := p.Counts(); n.BytesUp != 0 {
			t.Errorf("%+v", n)
		}
		p.Set(faultproxy.Fault{})
		if got := hear(t, c, 4); got != "late" {
			t.Errorf("%q", got)
		}
	})
}

// A stalled connection ends when the proxy is closed or resets it.
func TestStallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := between(t, 1)
		p.Set(faultproxy.Fault{Stall: true, On: faultproxy.Down})
		say(t, c, "never")
		if n := p.Reset(); n != 1 {
			t.Errorf("%d connections", n)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("read from a connection that was reset")
		}
	})
}

// Half open: the server hears the client, the client hears nothing.
func TestSwallowLosesOneDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := between(t, 1)
		p.Set(faultproxy.Fault{On: faultproxy.Down, Swallow: true})
		say(t, c, "lost")
		synctest.Wait()
		if n := p.Counts(); n.BytesUp != 4 || n.BytesDown != 0 || n.Swallowed != 4 {
			t.Errorf("%+v", n)
		}
		p.Set(faultproxy.Fault{})
		say(t, c, "heard")
		if got := hear(t, c, 5); got != "heard" {
			t.Errorf("%q", got)
		}
	})
}

// Bits flip at about the rate that was asked for, and the same ones for one seed.
func TestCorruptionIsSeeded(t *testing.T) {
	const size, every = 1 << 20, 1 << 12
	flips := func(seed uint64) (out []byte) {
		synctest.Test(t, func(t *testing.T) {
			p, c := between(t, seed)
			p.Set(faultproxy.Fault{On: faultproxy.Up, Corrupt: every})
			out = make([]byte, size)
			for at := 0; at < size; at += 16 << 10 {
				say(t, c, string(make([]byte, 16<<10)))
				if _, err := io.ReadFull(c, out[at:at+16<<10]); err != nil {
					t.Fatal(err)
				}
			}
			if n := p.Counts(); n.Corrupted < size/every/2 || n.Corrupted > size/every*2 {
				t.Errorf("%d bits of %d bytes", n.Corrupted, size)
			}
		})
		return out
	}
	a := flips(7)
	set := 0
	for _, b := range a {
		set += bits.OnesCount8(b)
	}
	if set == 0 || !bytes.Equal(a, flips(7)) || bytes.Equal(a, flips(8)) {
		t.Errorf("%d bits are set", set)
	}
}

func TestResetAfterBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := between(t, 1)
		p.Set(faultproxy.Fault{On: faultproxy.Down, ResetAfter: 6})
		say(t, c, "1234")
		hear(t, c, 4)
		say(t, c, "5678")
		got, err := io.ReadAll(c)
		if string(got) != "56" {
			t.Errorf("%q, %v", got, err)
		}
		if n := p.Counts(); n.Resets != 1 {
			t.Errorf("%+v", n)
		}
	})
}

func TestServerThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		front := newPipes()
		p := faultproxy.New(faultproxy.Options{Listener: front, Dial: func(context.Context) (net.Conn, error) {
			return nil, errors.New("nobody")
		}})
		c, err := front.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("read from nobody")
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if n := p.Counts(); n.Refused != 1 {
			t.Errorf("%+v", n)
		}
	})
}

func TestLimitOfConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, front := newPipes(), newPipes()
		echo(t, server)
		p := faultproxy.New(faultproxy.Options{Listener: front, Dial: server.Dial, MostConnections: 1})
		defer func() { _ = p.Close() }()
		first, err := front.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		say(t, first, "x")
		hear(t, first, 1)
		second, err := front.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.Read(make([]byte, 1)); err == nil {
			t.Error("the second connection is served")
		}
		_ = first.Close()
	})
}

// Over real sockets: bytes and half-closes pass, and a reset is seen as one.
func TestSockets(t *testing.T) {
	for network, address := range map[string]func() string{
		"tcp":  func() string { return "127.0.0.1:0" },
		"unix": func() string { return filepath.Join(t.TempDir(), "s") },
	} {
		l, err := net.Listen(network, address())
		if err != nil {
			t.Fatal(err)
		}
		echo(t, l)
		p, err := faultproxy.Listen(t.Context(), network, address(), l.Addr().String(), 1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial(network, p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		say(t, c, "whole")
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); string(got) != "whole" || err != nil {
			t.Errorf("%s: %q, %v", network, got, err)
		}
		_ = c.Close()
		if c, err = net.Dial(network, p.Addr().String()); err != nil {
			t.Fatal(err)
		}
		say(t, c, "x")
		hear(t, c, 1)
		p.Reset()
		if _, err := c.Read(make([]byte, 1)); network == "tcp" && !errors.Is(err, syscall.ECONNRESET) || err == nil {
			t.Errorf("%s: %v", network, err)
		}
		_ = c.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
