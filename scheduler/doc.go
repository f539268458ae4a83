// Package scheduler is a master: the replicated store it leads in, the workers it
// knows, and the dispatcher with the jobs it runs.
//
//	workers --> Master (rpc.MasterClient) --> resource.Manager
//	                                     \--> dispatcher --> job masters
//
// A Master acts for one leadership: it takes the term when it starts, and every
// job, message and write carries it. When the leadership is over the Master is
// closed and, on the next one, a new one made.
package scheduler
