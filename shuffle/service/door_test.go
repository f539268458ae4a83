package service_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
	"github.com/tidemill/tidemill/shuffle/service"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// Bare streams on a port with gRPC beside them: by unix socket, TCP and TLS; and those who
// come in and do not do what they should.

// identity is a worker's, of a cluster of its own.
func identity(t *testing.T) *security.Identity {
	t.Helper()
	ca, err := security.EnsureCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i, err := ca.Issue(security.Grant{Roles: []security.Role{security.Worker}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// certified lets those in who have shown a certificate.
func certified(state *tls.ConnectionState, _ string) error {
	if state == nil || len(state.VerifiedChains) == 0 {
		return errors.New("no certificate was shown")
	}
	return nil
}

// Rows pass a server by real sockets, piped and stored.
func TestSockets(t *testing.T) {
	worker := identity(t)
	for _, way := range []string{"unix", "tcp", "tls"} {
		t.Run(way, func(t *testing.T) {
			s := start(t, service.Options{}, local.Options{Tier: partition.NewTier(partition.TierOptions{MemoryBytes: 1 << 30})})
			defer s.stop()
			network, at := "tcp", "127.0.0.1:0"
			var door service.DoorOptions
			o := flight.Options{Local: local.New(local.Options{Alloc: s.alloc}), Alloc: s.alloc}
			switch way {
			case "unix":
				network, at = "unix", filepath.Join(t.TempDir(), "s")
			case "tls":
				door, o.TLS = service.DoorOptions{TLS: worker.Server(), Admit: certified}, worker.Client()
			}
			inner, err := net.Listen(network, at)
			if err != nil {
				t.Fatal(err)
			}
			l := s.Listener(inner, door)
			f := flight.New(o)
			for i, r := range []shuffle.Retention{shuffle.RetainNone, shuffle.RetainJob} {
				sp := spec(2, 1, r, 0)
				sp.Exchange = id.Exchange(i + 1)
				sp.Placement.Servers[0] = shuffle.Server{ID: "a-1", Address: inner.Addr().String()}
				if network == "unix" {
					sp.Placement.Servers[0] = shuffle.Server{ID: "a-1", Socket: at}
				}
				passes(t, s, f, sp)
			}
			if err := errors.Join(f.Close(), l.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// passes writes batches of all sizes on two lanes, and reads them.
func passes(t *testing.T, s *server, f *flight.Service, sp shuffle.Spec) {
	t.Helper()
	ctx := t.Context()
	if err := f.Open(ctx, sp); err != nil {
		t.Fatal(err)
	}
	rows, writing := 0, sync.WaitGroup{}
	for lane := range uint32(2) {
		w, err := f.Writer(ctx, sp.Job, sp.Exchange, lane, 0)
		if err != nil {
			t.Fatal(err)
		}
		writing.Go(func() {
			for i, n := range []int{1, 100_000, 3, 5000, 1_000_000} {
				if err := w.Send(ctx, 0, batch(s.alloc, int64(i), strings.Repeat("x", n), "y")); err != nil {
					t.Error(err)
				}
			}
			if _, err := w.Finish(ctx); err != nil {
				t.Error(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if sp.Retention == shuffle.RetainJob {
		writing.Wait()
	}
	r, err := f.Reader(ctx, sp.Job, sp.Exchange, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := next(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == stream.EndOfInput {
			break
		}
		if e.Batch != nil {
			rows += e.Batch.Len()
		}
		e.Release()
	}
	writing.Wait()
	if err := r.Close(); err != nil || rows != 20 {
		t.Errorf("%d rows of 20, %v", rows, err)
	}
}

// Whoever comes in and does not say what he wants is sent away, in time; others are served
// meanwhile.
func TestStrangers(t *testing.T) {
	slow := func(c net.Conn, b []byte) {
		for i := range b {
			if _, err := c.Write(b[i : i+1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	half := append([]byte(wire.Preface), 0, 0, 0xff, 0xff)
	for name, visit := range map[string]func(net.Conn){
		"says nothing":             func(net.Conn) {},
		"half a preface":           func(c net.Conn) { _, _ = c.Write([]byte(wire.Preface[:5])) },
		"no greeting":              func(c net.Conn) { _, _ = c.Write([]byte(wire.Preface)) },
		"no greeting but garbage":  func(c net.Conn) { _, _ = c.Write([]byte(wire.Preface + "GET / HTTP/1.1")) },
		"no first message":         func(c net.Conn) { _, _ = c.Write(half) },
		"a first message of 2 MiB": func(c net.Conn) { _, _ = c.Write(append(half, 0, 0, 32, 0, 0xff, 0xff, 0xdf, 0xff)) },
		"a letter a second":        func(c net.Conn) { slow(c, append(half, 0, 4, 0, 0, 0xff, 0xfb, 0xff, 0xff)) },
		"leaves":                   func(c net.Conn) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, service.Options{}, local.Options{})
				defer s.stop()
				c, err := s.listen.DialContext(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				begin := time.Now()
				go visit(c)
				if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.ErrClosedPipe) {
					t.Error(err)
				}
				if took := time.Since(begin); took > 15*time.Second {
					t.Errorf("it was there for %v", took)
				}
				p := s.producer()
				passes(t, s, p, spec(2, 1, shuffle.RetainNone, 0))
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute) // slow has noticed
			})
		})
	}
}

// Ten thousand that say nothing cost neither goroutines nor the service of others.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, service.Options{}, local.Options{})
		defer s.stop()
		var crowd []net.Conn
		for range 10_000 {
			c, err := s.listen.DialContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			crowd = append(crowd, c)
		}
		synctest.Wait()
		time.Sleep(11 * time.Second)
		p := s.producer()
		passes(t, s, p, spec(2, 1, shuffle.RetainNone, 0))
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range crowd {
			_ = c.Close() // the server has, too
		}
	})
}

// A client with more streams than the server has is told so, stream by stream; those that it
// has, and calls, go on.
func TestTooManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, lanes = 500, 800 // 3,000 and 5,000 take seconds
		s := start(t, service.Options{MaxStreams: most}, local.Options{})
		defer s.stop()
		p := s.producer()
		sp := spec(lanes, 1, shuffle.RetainJob, 0)
		if err := p.Open(t.Context(), sp); err != nil {
			t.Fatal(err)
		}
		var open []shuffle.Writer
		for lane := range uint32(lanes) {
			w, err := p.Writer(t.Context(), sp.Job, sp.Exchange, lane, 0)
			switch {
			case err == nil:
				open = append(open, w)
			case failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "the server has 500 streams, its limit"):
				t.Fatal(err)
			}
		}
		if st := s.Stats(); len(open) != most || st.Writers != most {
			t.Errorf("%d streams are open, the server has %+v", len(open), st)
		}
		for i, w := range open {
			if i%100 == 0 {
				if err := w.Send(t.Context(), 0, batch(s.alloc, int64(i), "x")); err != nil {
					t.Error(err)
				}
				if _, err := w.Finish(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Without a certificate nobody is let in where there is TLS, whatever the ticket; nor by a
// connection that does not begin with it.
func TestBareTLS(t *testing.T) {
	worker, foreign := identity(t), identity(t)
	s := start(t, service.Options{}, local.Options{})
	defer s.stop()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := s.Listener(inner, service.DoorOptions{TLS: worker.Server(), Admit: certified})
	defer l.Close()
	for name, c := range map[string]struct {
		config *tls.Config
		class  failure.Class
		says   string
	}{
		"plain":               {nil, failure.Transient, "does not answer"},
		"foreign certificate": {foreign.Client(), failure.Transient, "does not answer"},
		"no certificate":      {worker.Trust.Client(), failure.Unauthorized, "no certificate was shown"},
		"its own":             {worker.Client(), failure.Unclassified, ""},
	} {
		f := flight.New(flight.Options{Local: local.New(local.Options{Alloc: s.alloc}), Alloc: s.alloc, TLS: c.config, Patience: time.Millisecond})
		sp := spec(1, 1, shuffle.RetainJob, 0)
		sp.Placement.Servers[0].Address = inner.Addr().String()
		if err := f.Open(t.Context(), sp); err != nil {
			t.Fatal(err)
		}
		w, err := f.Writer(t.Context(), job, 1, 0, 0)
		if failure.Of(err) != c.class || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%v)", name, err, failure.Of(err))
		}
		if err == nil {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
