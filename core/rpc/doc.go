// Package rpc is the control plane's wire: what masters, workers and the
// coordinator tasks of jobs say to each other, and the transports that carry it.
//
//	master  -- WorkerClient -------> worker        deploy, cancel, trigger, notify, drop
//	worker  -- MasterClient -------> master        register, heartbeat, report, acknowledge
//	task    -- CoordinatorClient --> coordinator   splits
//	master  -- CoordinatorClient --> coordinator   snapshot, commit, abort, reset
//	master  -- ShuffleClient ------> shuffle       drop, drain, statistics
//	shuffle -- MasterClient -------> master        register, heartbeat
//	client  -- ClusterClient ------> master        submit, get, list, cancel
//
// Every message is a protobuf of rpc.proto; rows never travel here, they go
// through the shuffle. A call may be repeated after a Transient error: receivers
// take the second one for the first. A message's fields are owned by its
// receiver.
//
// Fencing. A job master speaks under the term of its leadership. Receivers keep
// the highest term seen of a job (Terms) and refuse lower ones with ErrFenced,
// which is a Conflict: whoever gets it is deposed and stops. What a worker says
// of an attempt carries the term it was deployed under, and the attempt's number
// fences it within the job.
//
// Names. A worker and a shuffle server are known by the address of their process
// and the number of its life (NewName); so a name is enough to reach them, and a
// process that was started again is not taken for its predecessor.
//
// Errors. An error crosses the wire as class and text (Failure); the classes that
// decide whether to try again survive. The sentinels of this package do, too:
// errors.Is knows ErrFenced and ErrGone on both sides.
//
// core/rpc/network is the transport between processes, on gRPC. Local is the one
// inside a process. It calls the receiver directly; with
// Serialize every request, reply and error goes through its encoding, as tests
// want it.
package rpc
