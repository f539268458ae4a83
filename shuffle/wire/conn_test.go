package wire_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// Bare streams: what is sent arrives, in one call or many, whatever the connection is; and
// what is no frame ends the stream, without memory for what it claims to be.

// ways are pairs of connections: two that gather, one that does not, one with TLS.
func ways(t *testing.T) map[string][2]net.Conn {
	t.Helper()
	near, far := net.Pipe()
	all := map[string][2]net.Conn{"pipe": {near, far}}
	for _, network := range []string{"tcp", "unix", "tls"} {
		at, by := "127.0.0.1:0", network
		switch network {
		case "unix":
			at = t.TempDir() + "/s"
		case "tls":
			by = "tcp"
		}
		l, err := net.Listen(by, at)
		if err != nil {
			t.Fatal(err)
		}
		dialed, err := net.Dial(by, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err = errors.Join(err, l.Close()); err != nil {
			t.Fatal(err)
		}
		all[network] = [2]net.Conn{dialed, accepted}
	}
	ca, err := security.EnsureCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i, err := ca.Issue(security.Grant{Roles: []security.Role{security.Worker}})
	if err != nil {
		t.Fatal(err)
	}
	pair := all["tls"]
	all["tls"] = [2]net.Conn{tls.Client(pair[0], i.Client()), tls.Server(pair[1], i.Server())}
	return all
}

func TestConn(t *testing.T) {
	for name, pair := range ways(t) {
		t.Run(name, func(t *testing.T) {
			alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
			defer alloc.AssertSize(t, 0)
			from, to := wire.NewConn(pair[0], alloc), wire.NewConn(pair[1], alloc)
			var sent []*wire.Message
			for _, rows := range []int{1, 3, 700, 5000} {
				sent = append(sent, encode(t, alloc, batch(t, alloc, rows)))
			}
			control, err := wire.Control(wire.Header{Kind: wire.KindProgress, Seq: 9}, &wire.Progress{Seq: 8})
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, control)
			var sending sync.WaitGroup
			sending.Go(func() {
				for range 3 {
					if err := errors.Join(from.Send(sent...), from.Send(sent[0]), from.Send()); err != nil {
						t.Error(err)
					}
				}
				if err := from.Finish(); err != nil {
					t.Error(err)
				}
			})
			for i := range 3 * (len(sent) + 1) {
				m, err := to.Recv()
				if err != nil {
					t.Fatal(err)
				}
				if want := sent[i%(len(sent)+1)%len(sent)]; m.Header != want.Header || !bytes.Equal(m.AppendBlock(nil), want.AppendBlock(nil)) {
					t.Errorf("message %d is %+v, want %+v", i, m.Header, want.Header)
				}
				m.Release()
			}
			if _, err := to.Recv(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if err := to.Close(); err != nil {
				t.Error(err)
			}
			sending.Wait()
			for _, m := range sent {
				m.Release()
			}
		})
	}
}

// framed is a frame of these bytes.
func framed(b []byte) []byte {
	n := uint32(len(b))
	f := binary.LittleEndian.AppendUint32(nil, n)
	return append(binary.LittleEndian.AppendUint32(f, ^n), b...)
}

func TestBrokenFrames(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	m := encode(t, alloc, batch(t, alloc, 100))
	out, err := wire.Codec{}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	whole := out.Materialize()
	out.Free()
	m.Release()
	changed := bytes.Clone(whole)
	changed[len(changed)-1] ^= 1
	le := binary.LittleEndian
	huge := le.AppendUint32(le.AppendUint32(nil, 1<<31), ^uint32(1<<31))
	for name, c := range map[string]struct {
		bytes []byte
		says  error
		text  string
	}{
		"nothing":                    {nil, io.EOF, ""},
		"half a prefix":              {framed(whole)[:5], wire.ErrBroken, "unexpected EOF"},
		"a prefix":                   {framed(whole)[:8], wire.ErrBroken, "unexpected EOF"},
		"half a message":             {framed(whole)[:len(whole)/2], wire.ErrBroken, "unexpected EOF"},
		"all but a byte":             {framed(whole)[:len(whole)+7], wire.ErrBroken, "unexpected EOF"},
		"garbage":                    {[]byte("GET / HTTP/1.1\r\n\r\n"), wire.ErrMalformed, "no frame begins here"},
		"two gigabytes":              {huge, wire.ErrMalformed, "message of 2147483648 bytes"},
		"no message":                 {framed(nil), wire.ErrMalformed, "0 bytes of metadata"},
		"a frame cut short":          {framed(whole[:len(whole)-9]), wire.ErrMalformed, "bytes, "},
		"a frame that is too long":   {framed(append(bytes.Clone(whole), 0xc2)), wire.ErrMalformed, "ends in a number"},
		"a bit changed":              {framed(changed), wire.ErrChecksum, ""},
		"a message, then its middle": {append(framed(whole), whole[100:200]...), wire.ErrMalformed, "no frame begins here"},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			go func() {
				_, _ = near.Write(c.bytes) // the other side may have enough
				_ = near.Close()
			}()
			to := wire.NewConn(far, alloc)
			defer to.Close()
			for {
				m, err := to.Recv()
				if err == nil {
					m.Release()
					continue
				}
				if !errors.Is(err, c.says) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("have %v, want %v with %q", err, c.says, c.text)
				}
				return
			}
		})
	}
}

func TestConnLimit(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	near, far := net.Pipe()
	defer near.Close()
	from, to := wire.NewConn(near, alloc), wire.NewConn(far, alloc)
	m := encode(t, alloc, batch(t, alloc, 1000))
	defer m.Release()
	go func() { _ = from.Send(m, m) }() // the second one is not taken
	got, err := to.Recv()
	if err != nil {
		t.Fatal(err)
	}
	got.Release()
	to.Limit(1000)
	if _, err := to.Recv(); !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), "the limit is 1000") {
		t.Error(err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
	if err := from.Send(m); !errors.Is(err, wire.ErrBroken) {
		t.Errorf("sent to nobody: %v", err)
	}
}

// Nobody waits longer than until the deadline, on either side.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alloc := memory.NewGoAllocator()
		near, far := net.Pipe()
		from, to := wire.NewConn(near, alloc), wire.NewConn(far, alloc)
		m := encode(t, alloc, batch(t, alloc, 10))
		defer m.Release()
		begin := time.Now()
		for _, c := range []*wire.Conn{from, to} {
			if err := c.SetDeadline(begin.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := to.Recv(); !errors.Is(err, wire.ErrBroken) {
			t.Error(err)
		}
		if err := from.Send(m); !errors.Is(err, wire.ErrBroken) {
			t.Error(err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("it took %v", took)
		}
		if err := errors.Join(from.Close(), to.Close()); err != nil {
			t.Error(err)
		}
	})
}

// What both sides say before the first frame.
func TestGreeting(t *testing.T) {
	ca, err := security.EnsureCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i, err := ca.Issue(security.Grant{Roles: []security.Role{security.Worker}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		client, server *tls.Config
		shown, says    string
	}{
		"plain":              {nil, nil, "Bearer x", ""},
		"nothing shown":      {nil, nil, "", ""},
		"TLS":                {i.Client(), i.Server(), "Bearer x", ""},
		"plain to TLS":       {nil, i.Server(), "Bearer x", "tls:"},
		"TLS to plain":       {i.Client(), nil, "Bearer x", "malformed"},
		"much shown":         {nil, nil, strings.Repeat("x", 1025), "1025 bytes are shown"},
		"stranger's machine": {&tls.Config{ServerName: security.ServerName}, i.Server(), "", "tls:"},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			told := make(chan error, 1)
			go func() {
				_, err := wire.Greet(t.Context(), near, c.client, c.shown)
				if err != nil {
					_ = near.Close()
				}
				told <- err
			}()
			first := make([]byte, len(wire.Preface))
			shown, state := "", (*tls.ConnectionState)(nil)
			_, err := io.ReadFull(far, first)
			if err == nil {
				_, state, shown, err = wire.Welcome(t.Context(), far, c.server)
			}
			if err != nil {
				_ = far.Close()
			}
			err = errors.Join(err, <-told)
			switch {
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("have %v, want %q", err, c.says)
			case c.says == "" && (err != nil || shown != c.shown || string(first) != wire.Preface || (state != nil) != (c.server != nil)):
				t.Errorf("%q was shown, %v", shown, err)
			}
			_ = errors.Join(near.Close(), far.Close()) // one of them was, or not
		})
	}
}
