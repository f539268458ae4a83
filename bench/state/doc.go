// Package state measures keyed state that is larger than memory beside state that is all
// in memory: a table of many keys, of which a part fits, updated by rows whose keys follow
// Zipf's law or are spread evenly, with snapshots as exactly-once jobs take them. The budget
// is a part of what keys and sums take, and all there is: for tables with the room that they
// keep, filters, and cache and buffers of the store.
//
//	load     every key once; the first snapshot holds everything
//	run      batches of rows: look keys up, add to their sums; every so often a snapshot,
//	         written aside; Zipf's law, after a warm-up, then evenly
//	change   1 % of the keys, 20 times, each with a snapshot: how long the task stands
//	         still, what is written beside what has changed
//	restore  of tiered state: how long after a restart, with as many subtasks, with two and
//	         with one again, until it can go on, from a checkpoint that is read and from one
//	         that is adopted (state.Adopter)
package state
