// Package flink runs Apache Flink as the peer of a benchmark: a JobManager, one
// TaskManager and the SQL gateway as processes of this machine, with what its guides say
// of Nexmark: RocksDB, incremental checkpoints exactly once, mini-batches.
//
//	Cluster.Run -- statement --> SQL gateway -- job --> JobManager, TaskManager
//	            <- errors, rows --           <-- state, duration --
//
// The time of a job is what its JobManager says, from its start to its end: planning
// and the gateway are left out of it, in Flink's favour. CPU time and memory are those
// of the JobManager and the TaskManager.
package flink
