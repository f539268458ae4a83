// Package operator is the contract between a task and the operators of its
// chain.
//
// Life: Open once; then any number of Process, Watermark and Snapshot; EndInput
// once for each input; Close once, always, also after an error. One goroutine,
// the task's, makes all calls. The first error ends the task; nothing but Close
// is called afterwards.
//
// Input: Process gives the operator a batch that it owns: it releases it or
// hands it on. Batches may be empty, carry a selection and row kinds, and encode
// strings as dictionaries or not, differently each time. An operator that cannot
// take row kinds other than inserts is never given any: the planner sees to it.
//
// Output: Emit passes a batch on, with its ownership, to the next operator of the
// chain or to the exchange; it may block for credit. Operators emit at most
// Context.BatchRows rows a batch. They pass no watermarks on themselves: the
// chain does, after Watermark returned; what Watermark emits precedes it. The
// same holds for barriers and the end of input.
//
// Watermark: the task has combined those of all inputs and lanes; it only
// advances. At the end of a bounded input it becomes MaxWatermark before
// EndInput, so an operator that works by event time needs no EndInput.
//
// Snapshot: called when the barrier has arrived on all inputs, before it goes
// on. Keyed state is frozen by the task right after it returns; Snapshot is for
// what must first be brought there, and for operator state (source positions,
// committables), which it returns as bytes.
//
// Optional abilities are interfaces that the task asks for once: Snapshotter,
// InputSelector, Finisher (no more input is needed), Ticker (processing time),
// Spiller (memory is short).
//
// Memory: what an operator keeps is charged to Context.Memory; Context.Alloc
// charges Arrow buffers there by itself.
//
// Every operator passes core/operator/operatortest: batch sizes 1, 3 and full;
// with and without selection; random nulls; cancelled mid-way; snapshot and
// restore at every point; nothing left in the allocator.
package operator
