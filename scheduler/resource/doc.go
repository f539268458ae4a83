// Package resource knows the workers and shuffle servers, lends the workers' slots to
// jobs, and says which server keeps what.
//
// A slot holds one subtask of each vertex of a region, so a region asks for as
// many slots as its largest parallelism, and gets all of them at once or waits.
// Requests are served in the order in which they came; one that is larger than
// the whole cluster lets later ones pass. Where the cluster cannot grow, as in an
// embedded run, such a request is refused at once.
//
// A worker that does not answer is given nothing more: as soon as a call to it fails
// (Unreachable), or when it was silent for half of the time after which it is lost, it is
// set aside. Its slots are neither offered nor counted until it is heard of; what runs there
// goes on. If calls keep failing though its heartbeats come, the pauses before it is tried
// again grow. A process that registers at the address of another one replaces it at once;
// one that has missed a heartbeat, and at whose address nobody listens (Refused), has ended.
//
// A shuffle server that drains gets nothing new. The manager tells when one begins to, and
// when one comes that may take over; the jobs do the rest.
//
// Pool is the pure part: a call in, grants and refusals out. Manager is the doing
// part: it serialises the calls, watches heartbeats and delivers the answers.
//
// Locks: Manager.mu is a leaf; answers and losses are delivered without it.
package resource
