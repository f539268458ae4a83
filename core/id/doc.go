// Package id holds the typed identifiers of everything that the control plane
// names: jobs, vertices, subtasks, attempts, exchanges, partitions, workers and
// checkpoints.
//
// Identifiers are values: comparable, usable as map keys, and printable in one
// stable form, which is the form that logs, REST and file names use. A bare
// string or integer never stands for one of them.
//
//	job          128 random bits, 32 hex digits
//	vertex       number in the job graph, from 0
//	subtask      vertex.index             3.1
//	attempt      vertex.index#n           3.1#0
//	exchange     number in the job graph, from 0
//	partition    exchange/index           2/1
//	lane         one producer subtask of an exchange, by its index
package id
