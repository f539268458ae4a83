// Package print is the connector of a sink that writes changes as lines of text to
// the standard output of the process that a subtask runs in, as Flink's does:
//
//	+I[1, a, null]
//	-U[1, a, null]
//	+U[1, b, null]
//
// Lines appear as rows come, not when a checkpoint is complete: after a restart some
// come again. Lines of one batch are written at once; those of different subtasks do
// not mix within it.
//
// Options, as in Flink:
//
//	print-identifier   a text before each line: text> +I[...]
//	standard-error     whether to write to standard error instead
package print
