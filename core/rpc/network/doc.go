// Package network carries the control plane between processes: the services of
// core/rpc on gRPC.
//
//	Register   receivers (rpc.MasterClient, rpc.WorkerClient, ...) on a server with ServerOptions
//	Door       the listener: how many may come in, who goes first when it is full
//	Network    rpc.Dialer and rpc.ClusterClient: finds processes by their names, and the
//	           leading master among those that it was told of
//
// One server of a process has all its services, Arrow Flight among them; a role serves
// those that it is given and answers Unimplemented to the rest.
//
// Who may call: mutual TLS between roles, where the certificate says which role it is;
// clients show a token instead. Without TLS only loopback and unix sockets are served,
// and the token is wanted there, too (core/security).
//
// It is decided when the headers of a call have come: strangers cannot make a server
// read more. A process that joins shows a join token instead, and is given a certificate
// (Enroll).
//
// Names: a call to a worker or shuffle server says which life of it is meant (rpc.NewName).
// Whoever else has come to its address is not taken for it: that is ErrUnreachable.
//
// The leading master: a call goes to the one that answered last. One that does not
// lead says who does (rpc.NotLeader, with an address) or not; then the others are
// asked in turn, with pauses, until the call's context ends. One that is silent is left
// after a while, and what others find out counts for all calls. So callers never see a
// change of leadership except as a wait. A call may therefore arrive twice.
//
// Errors travel as rpc.Failure in the details of a status: class, text and sentinel
// survive. What gRPC itself reports becomes Transient with rpc.ErrUnreachable, except
// a refused credential (Unauthorized), a message beyond the limit and a method that the
// other side does not have (Fatal, with both versions).
//
// Limits: a message is at most 64 MiB; a call without a deadline is given one, a long
// one if it waits for something to happen (NextSplit, GetJob). Connections are kept while
// they are used, and closed after some minutes without; idle ones of strangers are few
// (Door).
//
// Locks: Network.mu, leader.mu, conn.mu and Door.mu are leaves. gRPC's goroutines end with
// Network.Close and grpc.Server.Stop; there are no others.
package network
