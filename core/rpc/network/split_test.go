package network

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// severed is a listener whose connections can be broken.
type severed struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (s *severed) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return c, err
}

func (s *severed) sever() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

// The connection breaks with the answer to a request for a split: the same request is sent
// again, one without a number is not, and nobody asks for ever.
func TestAnswerToSplitIsLost(t *testing.T) {
	token := security.NewToken()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &severed{Listener: tcp}
	var mu sync.Mutex
	var asked []uint64
	lost := 0 // answers
	address, _ := serveAt(t, l, Admission{Token: token}, func(s *grpc.Server) {
		register(s, func(ctx context.Context, _ string, q proto.Message) (proto.Message, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, q.(*rpc.SplitRequest).GetSequence())
			if lost > 0 {
				lost--
				l.sever()
				<-ctx.Done()
			}
			return &rpc.SplitReply{Ended: true}, nil
		})
	})
	c := dialer(t, Options{Token: token}).Coordinator(id.Worker(rpc.NewName(address)))
	for _, test := range []struct {
		sequence uint64
		lost     int
		asked    int
	}{{7, 1, 2}, {8, 0, 1}, {0, 1, 1}, {9, splitTries, splitTries}} {
		mu.Lock()
		asked, lost = nil, test.lost
		mu.Unlock()
		r, err := c.NextSplit(t.Context(), &rpc.SplitRequest{Sequence: test.sequence})
		mu.Lock()
		if len(asked) != test.asked || test.asked > test.lost && !r.GetEnded() || test.asked == test.lost && !errors.Is(err, rpc.ErrUnreachable) {
			t.Errorf("request %d: %v, %v, asked %v", test.sequence, r, err, asked)
		}
		mu.Unlock()
	}
}
