package service_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memnet"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/service"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// Clients that lie, err or go away: each is refused by name, the server goes on to
// serve others, and what was held for them comes back.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	job     = id.Job{7}
	columns = datatype.Schema{{Name: "id", Type: datatype.Of(datatype.BigInt)}, {Name: "s", Type: datatype.Of(datatype.Varchar)}}
)

// server is one under test, with connections in memory.
type server struct {
	*service.Server
	t      testing.TB
	store  *local.Service
	alloc  *memory.CheckedAllocator
	grpc   *grpc.Server
	listen *memnet.Listener
	served chan struct{}
	conns  []*grpc.ClientConn
}

func start(t testing.TB, o service.Options, l local.Options) *server {
	t.Helper()
	s := &server{t: t, alloc: memory.NewCheckedAllocator(memory.NewGoAllocator()), listen: memnet.Listen(256 << 10), served: make(chan struct{})}
	l.Self, l.Alloc = "a-1", s.alloc
	s.store = local.New(l)
	o.Self, o.Store, o.Alloc = shuffle.Server{ID: "a-1", Address: "a"}, s.store, s.alloc
	s.Server = service.New(o)
	s.grpc = grpc.NewServer(s.ServerOptions()...)
	s.Register(s.grpc)
	go func() {
		defer close(s.served)
		if err := s.grpc.Serve(s.Listener(s.listen, service.DoorOptions{})); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	}()
	return s
}

// stop ends everything; nothing stays allocated.
func (s *server) stop() {
	for _, c := range s.conns {
		_ = c.Close()
	}
	err := s.Server.Close()
	s.grpc.Stop()
	<-s.served
	err = errors.Join(err, s.listen.Close(), s.store.DropJob(job, nil, 100))
	if err != nil {
		s.t.Error(err)
	}
	// What gRPC drops without a word is found by the garbage collector.
	for i := 0; i < 100 && s.alloc.CurrentAlloc() > 0; i++ {
		runtime.GC()
		runtime.Gosched()
	}
	s.alloc.AssertSize(s.t, 0)
}

// client opens a stream that sends whatever it is told to.
type client struct {
	t  testing.TB
	st grpc.ClientStream
}

func (s *server) client(ctx context.Context) *client {
	s.t.Helper()
	conn, err := grpc.NewClient("passthrough:///a", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.listen.DialContext(ctx) }))
	if err != nil {
		s.t.Fatal(err)
	}
	s.conns = append(s.conns, conn)
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	st, err := conn.NewStream(ctx, desc, "/arrow.flight.protocol.FlightService/DoExchange", grpc.ForceCodecV2(anything{s.alloc}))
	if err != nil {
		s.t.Fatal(err)
	}
	return &client{t: s.t, st: st}
}

// anything sends []byte as it is.
type anything struct{ alloc memory.Allocator }

func (anything) Name() string { return "proto" }

func (a anything) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return wire.Codec{Alloc: a.alloc}.Marshal(v)
}

func (a anything) Unmarshal(data mem.BufferSlice, v any) error {
	return wire.Codec{Alloc: a.alloc}.Unmarshal(data, v)
}

// send may fail when the server has ended the stream: then that is what counts.
func (c *client) send(what any) {
	if err := c.st.SendMsg(what); err != nil && !errors.Is(err, io.EOF) {
		c.t.Error(err)
	}
	if m, ok := what.(*wire.Message); ok {
		m.Release()
	}
}

// ends reads until the stream ends, and returns why.
func (c *client) ends() error {
	_ = c.st.CloseSend()
	for {
		var m wire.Message
		if err := c.st.RecvMsg(&m); err != nil {
			return err
		}
		kind := m.Kind
		var x wire.Error
		err := m.Content(&x)
		m.Release()
		if kind == wire.KindError {
			return errors.Join(err, x.Err())
		}
	}
}

func open(change func(*wire.Open)) *wire.Open {
	x := &wire.Open{
		Server: "a-1", Session: 1,
		Exchange: &wire.Exchange{
			Job: job[:], Exchange: 1, Term: 1, Schema: datatype.RowOf(columns...).String(), Lanes: 2, Partitions: 2,
			Retention: uint32(shuffle.RetainNone), Here: []byte{3},
		},
	}
	if change != nil {
		change(x)
	}
	return x
}

func control(t testing.TB, h wire.Header, content proto.Message) *wire.Message {
	t.Helper()
	m, err := wire.Control(h, content)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func opening(t testing.TB, change func(*wire.Open)) *wire.Message {
	return control(t, wire.Header{Kind: wire.KindOpen}, open(change))
}

func batch(alloc memory.Allocator, from int64, texts ...string) *stream.Batch {
	b := array.NewRecordBuilder(alloc, columns.Arrow())
	defer b.Release()
	for i, text := range texts {
		b.Field(0).(*array.Int64Builder).Append(from + int64(i))
		b.Field(1).(*array.StringBuilder).Append(text)
	}
	return stream.NewBatch(b.NewRecordBatch())
}

// data is a message with that number for a partition.
func data(t testing.TB, alloc memory.Allocator, seq uint64, part uint32) *wire.Message {
	t.Helper()
	m, err := wire.Encode(alloc, columns.Arrow(), wire.Header{Seq: seq, Partition: part}, batch(alloc, int64(seq), fmt.Sprint("row ", seq)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestHostileStreams: what a client may send that is not what it should. Behind each
// one another client is served.
func TestHostileStreams(t *testing.T) {
	type script func(t testing.TB, c *client, alloc memory.Allocator)
	first := func(change func(*wire.Open)) script {
		return func(t testing.TB, c *client, _ memory.Allocator) { c.send(opening(t, change)) }
	}
	then := func(all ...func(testing.TB, memory.Allocator) any) script {
		return func(t testing.TB, c *client, alloc memory.Allocator) {
			c.send(opening(t, nil))
			for _, make := range all {
				c.send(make(t, alloc))
			}
		}
	}
	row := func(seq uint64, part uint32) func(testing.TB, memory.Allocator) any {
		return func(t testing.TB, alloc memory.Allocator) any { return data(t, alloc, seq, part) }
	}
	told := func(k wire.Kind, seq uint64) func(testing.TB, memory.Allocator) any {
		return func(t testing.TB, _ memory.Allocator) any { return control(t, wire.Header{Kind: k, Seq: seq}, nil) }
	}
	for name, c := range map[string]struct {
		script script
		says   string
		class  failure.Class
	}{
		"begins with rows": {func(t testing.TB, c *client, alloc memory.Allocator) { c.send(data(t, alloc, 1, 0)) }, "without content", failure.Fatal},
		"begins with the end": {func(t testing.TB, c *client, _ memory.Allocator) {
			c.send(control(t, wire.Header{Kind: wire.KindEndOfLane}, open(nil)))
		}, "begins with end of lane", failure.BadData},
		"no protobuf":            {func(_ testing.TB, c *client, _ memory.Allocator) { c.send([]byte("hello")) }, "malformed", failure.Fatal},
		"half a message":         {func(t testing.TB, c *client, _ memory.Allocator) { c.send(half(opening(t, nil))) }, "malformed", failure.Fatal},
		"a bit of it is changed": {func(t testing.TB, c *client, _ memory.Allocator) { c.send(flipped(opening(t, nil))) }, "checksum", failure.Fatal},
		"nothing":                {func(testing.TB, *client, memory.Allocator) {}, "EOF", failure.Fatal},
		"another server":         {first(func(x *wire.Open) { x.Server = "b-1" }), "server b-1 is gone", failure.Transient},
		"another life of it":     {first(func(x *wire.Open) { x.Server = "a-0" }), "server a-0 is gone", failure.Transient},
		"no exchange":            {first(func(x *wire.Open) { x.Exchange = nil }), "job of 0 bytes", failure.BadData},
		"a job like a path":      {first(func(x *wire.Open) { x.Exchange.Job = []byte("../../etc/passwd/") }), "job of 17 bytes", failure.BadData},
		"four billion lanes":     {first(func(x *wire.Open) { x.Exchange.Lanes = 1<<32 - 1 }), "4294967295 lanes", failure.BadData},
		"no lanes":               {first(func(x *wire.Open) { x.Exchange.Lanes = 0 }), "0 lanes", failure.Internal},
		"no row type":            {first(func(x *wire.Open) { x.Exchange.Schema = "ROW<" }), "malformed", failure.BadData},
		"a long schema":          {first(func(x *wire.Open) { x.Exchange.Schema = strings.Repeat("ROW<", 1<<17) }), "want a field name", failure.BadData},
		"a first message of 2 MiB": {
			first(func(x *wire.Open) { x.Ticket = make([]byte, 2<<20) }), "at most 1048576 may come here", failure.Fatal,
		},
		"a first message of 5 MiB": {
			func(_ testing.TB, c *client, _ memory.Allocator) { c.send(make([]byte, 5<<20)) }, "larger than max", failure.Fatal,
		},
		"unknown retention":      {first(func(x *wire.Open) { x.Exchange.Retention = 9 }), "retention 9", failure.BadData},
		"a lane too many":        {first(func(x *wire.Open) { x.Index = 2 }), "has 2 lanes", failure.Internal},
		"a partition too many":   {first(func(x *wire.Open) { x.Read, x.Index = true, 1<<31 }), "has 2 partitions", failure.Internal},
		"a session never opened": {first(func(x *wire.Open) { x.Again = true }), "session is over", failure.Transient},
		"a gap":                  {then(row(1, 0), row(3, 0)), "message 3 follows message 1", failure.Internal},
		"rows for nobody":        {then(row(1, 2)), "partition 2 of 2", failure.Internal},
		"rows after the end":     {then(told(wire.KindEndOfLane, 1), row(2, 0)), "message 2 follows message 1", failure.Internal},
		"a server's words":       {then(told(wire.KindDone, 1)), "done from a writer", failure.BadData},
		"broken rows":            {then(row(1, 0), func(testing.TB, memory.Allocator) any { return []byte{0xff, 1, 2} }), "malformed", failure.Fatal},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, service.Options{}, local.Options{})
			defer s.stop()
			bad := s.client(t.Context())
			c.script(t, bad, s.alloc)
			if err := bad.ends(); err == nil || !strings.Contains(err.Error(), c.says) || failure.Of(err) != c.class {
				t.Errorf("%v (%v), want %q (%v)", err, failure.Of(err), c.says, c.class)
			}
			good := s.client(t.Context())
			good.send(opening(t, func(x *wire.Open) { x.Session, x.Exchange.Exchange = 99, 2 }))
			good.send(data(t, s.alloc, 1, 0))
			good.send(control(t, wire.Header{Kind: wire.KindEndOfLane, Seq: 2}, nil))
			if got := good.manifest(); got.GetPartitions()[0].GetRows() != 1 {
				t.Errorf("somebody else has %v", got)
			}
		})
	}
}

func half(m *wire.Message) []byte {
	b := whole(m)
	return b[:len(b)/2]
}

func flipped(m *wire.Message) []byte {
	b := bytes.Clone(whole(m))
	b[len(b)-1] ^= 1
	return b
}

func whole(m *wire.Message) []byte {
	defer m.Release()
	out, err := wire.Codec{}.Marshal(m)
	if err != nil {
		panic(err) // it never fails
	}
	defer out.Free()
	return out.Materialize()
}

// manifest waits for the end of a lane.
func (c *client) manifest() *wire.Manifest {
	c.t.Helper()
	for {
		var m wire.Message
		if err := c.st.RecvMsg(&m); err != nil {
			c.t.Fatal(err)
		}
		if m.Kind == wire.KindProgress {
			m.Release()
			continue
		}
		x := &wire.Manifest{}
		err := m.Content(x)
		if m.Kind != wire.KindDone || err != nil {
			c.t.Fatalf("%v, %v", m.Kind, err)
		}
		m.Release()
		return x
	}
}

// TestTickets: nobody gets in without the right one, nor with one for something else.
func TestTickets(t *testing.T) {
	key, now := security.NewKey(), time.Unix(1_000_000, 0)
	good := security.Ticket{Rights: security.Write, Job: job, Exchange: 1, Term: 1, Expiry: now.Add(time.Minute)}
	with := func(change func(*security.Ticket)) []byte {
		other := good
		change(&other)
		return other.Sign(key)
	}
	forged := good.Sign(key)
	forged[1] |= byte(security.Drop)
	for name, c := range map[string]struct {
		ticket []byte
		says   string
	}{
		"none":             {nil, "0 bytes instead of"},
		"oversized":        {make([]byte, 1<<19), "bytes instead of"},
		"forged":           {forged, "not signed by this cluster"},
		"of another key":   {good.Sign(security.NewKey()), "not signed by this cluster"},
		"expired":          {with(func(x *security.Ticket) { x.Expiry = now }), "expired"},
		"another job's":    {with(func(x *security.Ticket) { x.Job = id.Job{8} }), "is for job"},
		"another exchange": {with(func(x *security.Ticket) { x.Exchange = 2 }), "for exchange 2, not 1"},
		"an older term's":  {with(func(x *security.Ticket) { x.Term = 0 }), "term 0, not 1"},
		"for reading":      {with(func(x *security.Ticket) { x.Rights = security.Read }), "gives read, not write"},
	} {
		s := start(t, service.Options{TicketKey: func() []byte { return key }, Now: func() time.Time { return now }}, local.Options{})
		c1 := s.client(t.Context())
		c1.send(opening(t, func(x *wire.Open) { x.Ticket = c.ticket }))
		if err := c1.ends(); err == nil || !strings.Contains(err.Error(), c.says) || failure.Of(err) != failure.Unauthorized {
			t.Errorf("%s: %v (%v)", name, err, failure.Of(err))
		}
		if st := s.Stats(); st.Exchanges != 0 || st.Writers != 0 {
			t.Errorf("%s: %+v", name, st)
		}
		s.stop()
	}
}
