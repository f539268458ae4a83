// Package keeper is a process that keeps partitions as its master sees it: the
// rpc.ShuffleClient of a shuffle server, and of a worker that keeps its own lanes.
//
//	master --> Keeper --> shuffle/service   drop, drain, numbers
//	                  --> shuffle/local     which lanes are there
//	                  --> shuffle/flight    a lane is handed over to another server
package keeper
