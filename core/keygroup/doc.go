// Package keygroup maps keys to key groups and key groups to subtasks.
//
// A key is hashed once, column-wise, into 64 bits (the caller's job, see
// core/compute); the low bits choose the group. Groups are the unit of state
// placement and of rescaling: their number is fixed when a job is created, so
// that a row's group never changes, whatever the parallelism. An Assignment says
// which subtask owns which range of groups; it starts contiguous and even.
//
//	hash (64 bit) ---- Of ----> group (0..groups-1) ---- Assignment ----> subtask
package keygroup
