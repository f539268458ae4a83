package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// Calls over real connections: every method of every client reaches its receiver with
// all of its message, and fails as callers expect it to.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is a method of a client.
type invocation struct {
	service, method string
	do              func(ctx context.Context) (proto.Message, error)
}

func (i invocation) String() string { return i.service + "." + i.method }

// everyCall lists all methods of all clients, with filled requests.
func everyCall(n *Network, process, master string) []invocation {
	var out []invocation
	clients := []struct {
		name string
		is   any
	}{
		{"Master", n.Master()},
		{"Cluster", n.Cluster()},
		{"Worker", n.Worker(id.Worker(process))},
		{"Coordinator", n.Coordinator(id.Worker(process))},
		{"Shuffle", n.Shuffle(process)},
		{"Blobs", n.Blobs(master)},
		{"Peer", n.Peer(master)},
	}
	for _, c := range clients {
		v := reflect.ValueOf(c.is)
		for i := range v.NumMethod() {
			request := v.Type().Method(i).Type.In(2)
			out = append(out, invocation{c.name, v.Type().Method(i).Name, func(ctx context.Context) (proto.Message, error) {
				q := reflect.New(request.Elem())
				fill(q.Interface().(proto.Message).ProtoReflect(), 3)
				got := v.Method(i).Call([]reflect.Value{reflect.ValueOf(ctx), q})
				err, _ := got[1].Interface().(error)
				return q.Interface().(proto.Message), err
			}})
		}
	}
	return out
}

// fill sets every field of a message, so that nothing is forgotten on the way.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap() || f.ContainingOneof() != nil:
		case f.Message() != nil && depth > 0 && f.IsList():
			e := m.Mutable(f).List().NewElement()
			fill(e.Message(), depth-1)
			m.Mutable(f).List().Append(e)
		case f.Message() != nil && depth > 0:
			fill(m.Mutable(f).Message(), depth-1)
		case f.Kind() == protoreflect.BytesKind && !f.IsList():
			m.Set(f, protoreflect.ValueOfBytes([]byte("sixteen bytes id")))
		case f.Kind() == protoreflect.StringKind && !f.IsList():
			m.Set(f, protoreflect.ValueOfString("text"))
		case f.Kind() == protoreflect.Uint64Kind && !f.IsList():
			m.Set(f, protoreflect.ValueOfUint64(1<<40))
		}
	}
}

// register has a server answer all calls of all services by answer.
func register(s grpc.ServiceRegistrar, answer func(ctx context.Context, method string, q proto.Message) (proto.Message, error)) {
	for _, desc := range []grpc.ServiceDesc{Master_ServiceDesc, Worker_ServiceDesc, Coordinator_ServiceDesc, Shuffle_ServiceDesc, Cluster_ServiceDesc, Blobs_ServiceDesc, Peer_ServiceDesc} {
		methods := make([]grpc.MethodDesc, len(desc.Methods))
		for i, m := range desc.Methods {
			types, _ := reflect.TypeOf(desc.HandlerType).Elem().MethodByName(m.MethodName)
			request := types.Type.In(1).Elem()
			direct := func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				q := reflect.New(request).Interface().(proto.Message)
				if err := dec(q); err != nil {
					return nil, err
				}
				return answer(ctx, short("/"+desc.ServiceName+"/"+m.MethodName), q)
			}
			methods[i] = grpc.MethodDesc{MethodName: m.MethodName, Handler: handler(grpc.MethodDesc{MethodName: m.MethodName, Handler: direct}, func() (any, error) { return nil, nil })}
		}
		desc.Methods = methods
		s.RegisterService(&desc, nil)
	}
}

// serve runs a server on loopback until the test ends or stop is called.
func serve(t *testing.T, a Admission, add func(*grpc.Server)) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveAt(t, l, a, add)
}

func serveAt(t *testing.T, l net.Listener, a Admission, add func(*grpc.Server)) (address string, stop func()) {
	t.Helper()
	s := grpc.NewServer(ServerOptions(a)...)
	add(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	stop = func() {
		s.Stop()
		<-done
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func dialer(t *testing.T, o Options) *Network {
	t.Helper()
	if o.CallTimeout == 0 {
		o.CallTimeout = 20 * time.Second
	}
	n := New(o)
	t.Cleanup(n.Close)
	return n
}

func TestEveryCall(t *testing.T) {
	token := security.NewToken()
	var got proto.Message
	var reply error
	var called string
	address, _ := serve(t, Admission{Token: token}, func(s *grpc.Server) {
		register(s, func(_ context.Context, method string, q proto.Message) (proto.Message, error) {
			got, called = q, method
			if reply != nil {
				return nil, reply
			}
			return &rpc.AckReply{}, nil
		})
	})
	n := dialer(t, Options{Masters: []string{address}, Token: token})
	calls := everyCall(n, address+"-life", address)
	if len(calls) != 42 {
		t.Fatalf("%d calls", len(calls))
	}
	for _, c := range calls {
		sent, err := c.do(t.Context())
		if err != nil || called != c.String() || !proto.Equal(sent, got) {
			t.Errorf("%s: %v, arrived at %s as %v", c, err, called, got)
		}
		for _, refusal := range []error{
			failure.Wrap(failure.Conflict, fmt.Errorf("job 7: %w", rpc.ErrFenced)), failure.Errorf(failure.NotFound, "no\nsuch"), errors.New("plain"),
		} {
			reply = refusal
			_, err := c.do(t.Context())
			if err == nil || err.Error() != refusal.Error() || failure.Of(err) != failure.Of(refusal) || errors.Is(refusal, rpc.ErrFenced) != errors.Is(err, rpc.ErrFenced) {
				t.Errorf("%s refused: %v (%v)", c, err, failure.Of(err))
			}
		}
		reply = nil
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.do(ended); !errors.Is(err, context.Canceled) || failure.Of(err) != failure.Cancelled {
			t.Errorf("%s with an ended context: %v", c, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := street{}.dialer(t, Options{Masters: []string{"a:1", "b:1"}, CallTimeout: time.Minute, LongCallTimeout: time.Hour})
		for _, c := range everyCall(n, "c:1-life", "a:1") {
			if _, err := c.do(t.Context()); !errors.Is(err, rpc.ErrUnreachable) || failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), c.String()) {
				t.Errorf("%s: %v (%v)", c, err, failure.Of(err))
			}
		}
	})
}

// A process that has come to the address of one that is gone is called at once: it is not to
// wait for the next time that somebody would look for the former one.
func TestTheNextLifeIsCalledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var there atomic.Bool
		token, visitors := security.NewToken(), newCrowd()
		n := dialer(t, Options{Token: token, Dial: func(context.Context, string) (net.Conn, error) {
			if there.Load() {
				return visitors.visit()
			}
			return nil, errors.New("nobody is there")
		}})
		logs := func(worker id.Worker) error {
			_, err := n.Worker(worker).Logs(t.Context(), &rpc.LogsRequest{})
			return err
		}
		for range 10 { // the pauses between tries become longer
			if err := logs("c:1-former"); !errors.Is(err, rpc.ErrUnreachable) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		_, _ = serveAt(t, visitors, Admission{Token: token}, func(s *grpc.Server) { Register(s, Services{Worker: someWorker{}}) })
		there.Store(true)
		if err := logs("c:1-next"); err != nil {
			t.Error(err)
		}
	})
}

// An address where nobody listens refuses; one where somebody does, or of which nothing is
// heard, does not.
func TestRefused(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if n.Refused(t.Context(), l.Addr().String()) {
		t.Error("somebody listens")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !n.Refused(t.Context(), l.Addr().String()) {
		t.Error("nobody listens")
	}
	over, stop := context.WithCancel(t.Context())
	stop()
	if n.Refused(over, l.Addr().String()) || n.Refused(t.Context(), "no address") {
		t.Error("nobody was asked")
	}
}
