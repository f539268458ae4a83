package network

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// Services are the receivers of a process; those that are nil it does not serve.
type Services struct {
	// Master is asked for the leading master before each call: it, or rpc.NotLeader.
	Master      func() (rpc.MasterClient, error)
	Worker      rpc.WorkerClient
	Coordinator rpc.CoordinatorClient
	Shuffle     rpc.ShuffleClient
	// Cluster is asked like Master.
	Cluster func() (rpc.ClusterClient, error)
	Blobs   Blobs
	Peer    Peer
	// Authority gives certificates to who shows a join token; the server's Admission has
	// the same one.
	Authority *security.CA
	// Token is the cluster's, which they are given, too.
	Token security.Token
}

// Blobs keeps what is too large for the masters' log. Calls may be concurrent.
type Blobs interface {
	// Put stores a blob, durably, before it returns. Storing it again is no error.
	Put(ctx context.Context, r *rpc.BlobRequest) (*rpc.BlobReply, error)
	// Get reads a blob; one that is not there is NotFound.
	Get(ctx context.Context, r *rpc.BlobRequest) (*rpc.BlobReply, error)
}

// Peer is a master as other masters see it.
type Peer interface {
	// Self tells what it knows of the cluster, whether it leads or not.
	Self(ctx context.Context, r *rpc.SelfRequest) (*rpc.SelfReply, error)
}

// The generated interfaces of servers are ours and one private method.
type (
	masterServer struct {
		rpc.MasterClient
		UnsafeMasterServer
	}
	workerServer struct {
		rpc.WorkerClient
		UnsafeWorkerServer
	}
	coordinatorServer struct {
		rpc.CoordinatorClient
		UnsafeCoordinatorServer
	}
	shuffleServer struct {
		rpc.ShuffleClient
		UnsafeShuffleServer
	}
	clusterServer struct {
		rpc.ClusterClient
		UnsafeClusterServer
	}
	blobsServer struct {
		Blobs
		UnsafeBlobsServer
	}
	peerServer struct {
		Peer
		UnsafePeerServer
	}
)

// Register makes a server answer the calls of s, before it serves.
func Register(r grpc.ServiceRegistrar, s Services) {
	add := func(desc grpc.ServiceDesc, receiver func() (any, error)) {
		desc.Methods = slices.Clone(desc.Methods)
		for i, m := range desc.Methods {
			desc.Methods[i].Handler = handler(m, receiver)
		}
		r.RegisterService(&desc, nil)
	}
	if s.Master != nil {
		add(Master_ServiceDesc, func() (any, error) {
			m, err := s.Master()
			return masterServer{MasterClient: m}, leads(m, err)
		})
	}
	if s.Worker != nil {
		add(Worker_ServiceDesc, func() (any, error) { return workerServer{WorkerClient: s.Worker}, nil })
	}
	if s.Coordinator != nil {
		add(Coordinator_ServiceDesc, func() (any, error) { return coordinatorServer{CoordinatorClient: s.Coordinator}, nil })
	}
	if s.Shuffle != nil {
		add(Shuffle_ServiceDesc, func() (any, error) { return shuffleServer{ShuffleClient: s.Shuffle}, nil })
	}
	if s.Cluster != nil {
		add(Cluster_ServiceDesc, func() (any, error) {
			c, err := s.Cluster()
			return clusterServer{ClusterClient: c}, leads(c, err)
		})
	}
	if s.Blobs != nil {
		add(Blobs_ServiceDesc, func() (any, error) { return blobsServer{Blobs: s.Blobs}, nil })
	}
	if s.Peer != nil {
		add(Peer_ServiceDesc, func() (any, error) { return peerServer{Peer: s.Peer}, nil })
	}
	if s.Authority != nil {
		add(Enrollment_ServiceDesc, func() (any, error) { return enrollment{ca: s.Authority, token: s.Token}, nil })
	}
}

// Submit validates what comes from outside: nobody has made sure that a client planned it.
func (s clusterServer) Submit(ctx context.Context, q *rpc.SubmitRequest) (*rpc.SubmitReply, error) {
	if g := q.GetGraph(); g != nil {
		if err := jobgraph.Validate(g); err != nil {
			return nil, failure.Wrap(failure.BadData, fmt.Errorf("submit: %w", err))
		}
	}
	return s.ClusterClient.Submit(ctx, q)
}

// leads says that nobody leads if there is no receiver.
func leads(receiver any, err error) error {
	if err == nil && (receiver == nil || reflect.ValueOf(receiver).Kind() == reflect.Pointer && reflect.ValueOf(receiver).IsNil()) {
		return rpc.NotLeader("")
	}
	return err
}

// unary is how gRPC has a method handled.
type unary = func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error)

// handler finds the receiver of each call, and puts errors and panics into the form in
// which they travel.
func handler(m grpc.MethodDesc, receiver func() (any, error)) unary {
	return func(_ any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (reply any, err error) {
		defer func() {
			if v := recover(); v != nil {
				reply, err = nil, toStatus(ctx, failure.Recovered(m.MethodName, v, debug.Stack()))
			}
		}()
		to, err := receiver()
		if err != nil {
			return nil, toStatus(ctx, err)
		}
		var malformed error
		reply, err = m.Handler(to, ctx, func(q any) error {
			malformed = dec(q)
			return malformed
		}, interceptor)
		if err != nil && !errors.Is(err, malformed) {
			return nil, toStatus(ctx, err)
		}
		return reply, err
	}
}
