// Package task runs one subtask: a chain of operators between the exchanges it
// reads and those it writes.
//
//	partitions -> gates -> head -> operator -> ... -> route -> partitions
//	                ^                                   ^
//	             mailbox: barriers, completed checkpoints, timers, readiness
//
// One goroutine, the caller of Run, owns the operators, the gates and the
// routes; everything else posts to its mailbox. It takes letters first, then
// elements of the inputs, then polls the source; it sleeps when none of them has
// anything.
//
// Gates: an input is an exchange. The task combines watermarks (core/eventtime)
// and aligns barriers (core/checkpoint) over its inputs, reads none that is
// blocked or that the head does not want, and hands each element down the chain.
//
// Snapshot: rows in the routes' buffers go out, each operator's Snapshot is
// called, its keyed state is frozen, the barrier goes on. Frozen state is copied
// between the elements that follow; then a goroutine of the task's writes it and
// acknowledges.
//
// Overtaking: told to, a task takes its snapshot before the barrier has come on all
// inputs. It then drains those up to the barrier, without processing, so that producers
// that wait for credit come to theirs; what it read is written with the frozen state, and
// processed in its turn. A restored task gets it before anything else.
//
// Standby: before a job is rescaled its keyed state may have been restored ahead, by the worker;
// the operator of a task with the same key groups takes it and restores what came since.
//
// End: after the last input's end (or the source's), operators get the final
// watermark, EndInput and Close; the lanes are finished and their manifests
// reported. Cancel ends a task at any point; its lanes are given up.
//
// A panic becomes an internal error with the stack and the attempt, except that
// of an exhausted memory account, which is its own error.
package task
