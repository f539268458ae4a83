// Package blackhole is the connector of a sink that counts rows and forgets
// them: for measuring everything before it.
//
// Options:
//
//	latency.column   a column of event time: how old rows are by it when they come is counted,
//	                 but of those more than a second ahead of the clock
//	latency.report   directory for the counts, a file of JSON (Latencies) for each subtask, which
//	                 is written when it ends
package blackhole
