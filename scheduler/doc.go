// Package scheduler is a master: the replicated store it leads in, the workers and
// shuffle servers it knows, and the dispatcher with the jobs it runs.
//
//	members --> Master (rpc.MasterClient)  --> resource.Manager
//	clients --> Master (rpc.ClusterClient) \-> dispatcher --> job masters
//
// A Master acts for one leadership: it takes the term when it starts, and every
// job, message and write carries it. When the leadership is over the Master is
// suspended, which leaves its jobs as they are, and on the next one a new one made: that
// is what a Candidate does for ever. Calls to a master that does not lead are told who
// does.
//
// A new leader reads the jobs from the store, waits until about as many workers have come
// back as its predecessor knew, or for a grace period, and runs the jobs that are not over
// under its term; what their attempts of an older term were doing ends by that. The
// dispatcher's package comment says what each job may expect.
//
// What masters remember of the cluster is in the bucket "cluster": the key that signs
// tickets, made once, and how many members there were.
package scheduler
