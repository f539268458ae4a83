// Package process assembles the roles that one process plays: master, worker, shuffle
// server, or several of them.
//
//	tidemill master    store, scheduler, gateway   raft and control plane, REST
//	tidemill worker    slots, coordinator tasks    control plane, pipelined partitions
//	tidemill shuffle   stored lanes                control plane, Arrow Flight
//	tidemill up        all of them, as processes or in this one
//
// A role has a data directory, which it locks: DIR/master (log, snapshots, blobs),
// DIR/spill, DIR/shuffle, and, made by the first start of up, DIR/tls and DIR/token.
// What an earlier life left in the spill and shuffle directories is removed at the start.
//
// Role.Run returns when its context ends and everything it started has: first it stops
// to take work, then it ends what runs, then it closes its listeners. A second signal
// ends the process at once; nothing that was acknowledged is lost by that.
//
// A master leads or waits. When it comes to lead it makes a scheduler.Master for that
// leadership, which takes over the jobs in the store; when it is deposed it closes it
// and waits again. Workers go on meanwhile: they find the new leader by themselves and
// tell it what they run.
package process
