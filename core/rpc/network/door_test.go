package network

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// A crowd of idle connections costs little and keeps nobody out.

// crowd is a listener whose connections are in memory.
type crowd struct {
	conns chan net.Conn
	end   sync.Once
	done  chan struct{}
}

func newCrowd() *crowd { return &crowd{conns: make(chan net.Conn), done: make(chan struct{})} }

func (c *crowd) Accept() (net.Conn, error) {
	select {
	case conn := <-c.conns:
		return conn, nil
	case <-c.done:
		return nil, net.ErrClosed
	}
}

func (c *crowd) Close() error {
	c.end.Do(func() { close(c.done) })
	return nil
}

func (c *crowd) Addr() net.Addr { return &net.TCPAddr{} }

func (c *crowd) dial(context.Context, string) (net.Conn, error) { return c.visit() }

// visit connects, unless the listener is closed.
func (c *crowd) visit() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case c.conns <- theirs:
		return ours, nil
	case <-c.done:
		return nil, net.ErrClosed
	}
}

// knock connects.
func (c *crowd) knock() net.Conn {
	conn, _ := c.visit()
	return conn
}

func TestDoor(t *testing.T) {
	c := newCrowd()
	d := NewDoor(c)
	d.most, d.strange = 4, 2
	var inside []*visitor
	accept := func() net.Conn {
		t.Helper()
		accepted := make(chan net.Conn)
		go func() {
			conn, _ := d.Accept()
			accepted <- conn
		}()
		ours := c.knock()
		inside = append(inside, (<-accepted).(*visitor))
		return ours
	}
	first, second, third := accept(), accept(), accept()
	expectOpen(t, false, first)
	expectOpen(t, true, second, third)
	inside[1].admit()
	inside[2].admit()
	fourth, fifth, sixth := accept(), accept(), accept()
	expectOpen(t, false, fourth)
	expectOpen(t, true, second, third, fifth, sixth)
	if d.open != 4 {
		t.Fatalf("%d are open", d.open)
	}
	inside[4].admit()
	inside[5].admit()
	// All are known: the next one is turned away, until one leaves.
	accepted := make(chan error)
	go func() {
		_, err := d.Accept()
		accepted <- err
	}()
	expectOpen(t, false, c.knock())
	for range 2 {
		if err := inside[1].Close(); err != nil {
			t.Fatal(err)
		}
	}
	expectOpen(t, true, c.knock())
	if err := <-accepted; err != nil || d.open != 4 {
		t.Fatalf("%v, %d are open", err, d.open)
	}
	_ = d.Close()
	if _, err := d.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

// expectOpen looks whether the other side has closed connections.
func expectOpen(t *testing.T, want bool, conns ...net.Conn) {
	t.Helper()
	for i, c := range conns {
		wait := 5 * time.Second
		if want {
			wait = time.Millisecond
		}
		_ = c.SetReadDeadline(time.Now().Add(wait))
		_, err := c.Read(make([]byte, 1))
		if isOpen := !errors.Is(err, io.EOF); isOpen != want {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// 10,000 connections that say nothing come while a worker calls: it is answered, as many
// of them as may be stay for as long as a handshake may take, and then nobody is left.
func TestTenThousandIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := security.NewToken()
		c := newCrowd()
		d := NewDoor(c)
		s := grpc.NewServer(ServerOptions(Admission{Token: token})...)
		Register(s, Services{Worker: someWorker{}})
		served := make(chan error)
		go func() { served <- s.Serve(d) }()
		n := New(Options{Token: token, Dial: c.dial})
		call := func() {
			t.Helper()
			if _, err := n.Worker(id.Worker("127.0.0.1:1-x")).Logs(t.Context(), &rpc.LogsRequest{}); err != nil {
				t.Fatal(err)
			}
		}
		conns := make([]net.Conn, 10_000)
		for i := range conns {
			conns[i] = c.knock()
			go func() { _, _ = io.Copy(io.Discard, conns[i]) }() // the server speaks first
			if i%2_000 == 0 {
				call()
			}
		}
		synctest.Wait()
		if got := d.openNow(); got > maxStrangers+2 {
			t.Errorf("%d are open", got)
		}
		call()
		time.Sleep(helloTimeout + time.Second)
		synctest.Wait()
		if got := d.openNow(); got != 1 {
			t.Errorf("%d are left", got)
		}
		call()
		n.Close()
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// A crowd before a server of pages does not end what somebody is being answered, plain
// or with TLS; between questions everybody is a stranger.
func TestPages(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCrowd()
			d := NewDoor(c)
			asked, proceed := make(chan bool), make(chan bool)
			s := &http.Server{ConnState: ConnState, ConnContext: ConnContext, ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				Admit(r.Context())
				asked <- true
				<-proceed
			})}
			l, pages := net.Listener(d), &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c.knock(), nil }}
			at := "http://tidemill.internal/"
			if encrypted {
				i := identity(t, authority(t), security.Master)
				l, pages.TLSClientConfig, at = tls.NewListener(d, i.Server()), i.Trust.Client(), "https://tidemill.internal/"
			}
			served := make(chan error)
			go func() { served <- s.Serve(l) }()
			get := func() error {
				r, err := pages.RoundTrip(httptest.NewRequest(http.MethodGet, at, nil))
				if err != nil {
					return err
				}
				return r.Body.Close()
			}
			answered := make(chan error)
			for range 2 { // the second time over the same connection
				go func() { answered <- get() }()
				<-asked
				for range 2 * maxStrangers {
					go func() { _, _ = io.Copy(io.Discard, c.knock()) }()
				}
				synctest.Wait()
				if got := d.openNow(); got != maxStrangers+1 {
					t.Errorf("%d are open", got)
				}
				proceed <- true
				if err := <-answered; err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if got, strangers := d.openNow(), d.strangersNow(); got != 1 || strangers != 1 {
					t.Errorf("%d are left, %d of them strangers", got, strangers)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
			pages.CloseIdleConnections()
			if got := d.openNow(); got != 0 {
				t.Errorf("%d are open after the end", got)
			}
		})
	}
}

// Who begins requests that nobody lets in, and never ends them, is a stranger: a crowd of
// those does not fill a door either.
func TestRequestsWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd()
		d := NewDoor(c)
		s := &http.Server{ConnState: ConnState, ConnContext: ConnContext, ReadHeaderTimeout: time.Second, ReadTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
		})}
		served := make(chan error)
		go func() { served <- s.Serve(d) }()
		for range 2 * maxStrangers {
			conn := c.knock()
			go func() {
				_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
		synctest.Wait()
		if got := d.openNow(); got > maxStrangers {
			t.Errorf("%d are open", got)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := d.openNow(); got != 0 {
			t.Errorf("%d are left", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// A port where a certificate is wanted, as that of the masters' log: who says nothing, or
// shows none, is gone after a while; who shows it stays.
func TestGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := authority(t)
		master, worker := identity(t, ca, security.Master), identity(t, ca, security.Worker)
		c := newCrowd()
		d := NewDoor(c)
		l := d.GuardedBy(master.Server(security.Master))
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				serving.Go(func() {
					_, _ = io.Copy(conn, conn)
					_ = conn.Close()
				})
			}
		})
		for range 2 * maxStrangers {
			conn := c.knock()
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
		friend, other := tls.Client(c.knock(), master.Client()), tls.Client(c.knock(), worker.Client())
		said := make([]byte, 5)
		if _, err := io.WriteString(friend, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(friend, said); err != nil || string(said) != "hello" {
			t.Fatalf("%q, %v", said, err)
		}
		if _, err := io.ReadFull(other, said); err == nil {
			t.Error("a worker is served")
		}
		synctest.Wait()
		if got := d.openNow(); got > maxStrangers+1 {
			t.Errorf("%d are open", got)
		}
		time.Sleep(helloTimeout + time.Second)
		synctest.Wait()
		if got, strangers := d.openNow(), d.strangersNow(); got != 1 || strangers != 0 {
			t.Errorf("%d are left, %d of them strangers", got, strangers)
		}
		_ = friend.Close()
		_ = d.Close()
		serving.Wait()
	})
}

func (d *Door) strangersNow() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.strangers.Len()
}

func (d *Door) openNow() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}
