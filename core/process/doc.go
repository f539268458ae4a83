// Package process assembles the roles that one process plays: master, worker, shuffle
// server, or several of them.
//
//	tidemill master    store, scheduler            raft and control plane, REST
//	tidemill worker    slots, coordinator tasks    control plane, pipelined partitions
//	tidemill shuffle   stored lanes                control plane, Arrow Flight
//	tidemill up        all of them, as processes or in this one
//
// A role has a data directory, which it locks: DIR/master (log, snapshots, blobs),
// DIR/spill or DIR/shuffle. What an earlier life left in the latter two is removed at the
// start.
//
// A role is reached by TCP with TLS and by a unix socket in its directory (door); a
// master also by other masters, at an address of its own. DIR/address.json says where,
// while it serves.
//
// Start returns a role that serves and, but for a master, is registered. Close first
// ends what runs, then its listeners. Killing the process loses nothing that was
// acknowledged.
//
// A master leads or waits. When it comes to lead it makes a scheduler.Master for that
// leadership, which takes over the jobs in the store; when it is deposed it closes it
// and waits again. Workers go on meanwhile: they find the new leader by themselves and
// tell it what they run.
package process
