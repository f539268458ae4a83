// Package machine tells benchmarks what a run took: the process's CPU time and
// memory, and how busy other processes kept the machine meanwhile.
//
// All of it comes from the kernel's counters. Where a kernel has none, the figure is
// zero or said to be unknown: a benchmark runs everywhere, and tells most on Linux.
package machine
