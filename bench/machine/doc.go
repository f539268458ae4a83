// Package machine tells benchmarks what a run took: the CPU time and memory of the
// process and of those that work for it, and how busy others kept the machine meanwhile.
//
// All of it comes from the kernel's counters. Where a kernel has none, the figure is
// zero or said to be unknown: a benchmark runs everywhere, and tells most on Linux.
package machine
