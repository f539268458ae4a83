// Package window aggregates by keys and event-time windows.
//
// Time is cut into slices, the largest pieces of which every window is made:
// a TUMBLE window is a slice; HOP has slices of gcd(size, slide), CUMULATE of its
// step. Rows are aggregated into the slice that they fall in, in a namespace of
// keyed state called by the slice's end:
//
//	            namespace 5000     10000    15000    20000
//	HOP(10, 5)  |--------|--------|--------|--------|
//	windows     [================]                      fires when the watermark
//	                     [================]             passes its end: slices are
//	                              [================]    merged, results emitted
//
// A watermark fires the windows that end at or before it, in the order of their
// ends; a slice whose last window has fired is dropped whole. Rows of dropped
// slices are late: they are left out and counted.
//
// A partial phase keeps slices of its own and emits them as accumulators at
// watermarks, at barriers, and when they grow large; it drops nothing.
package window
