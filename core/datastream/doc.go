// Package datastream is for jobs that are written in Go: streams of structs, and functions
// with state, timers and side outputs.
//
//	env := datastream.New(datastream.Options{Name: "totals", Parallelism: 4})
//	transfers := datastream.Generate(env, "transfers", datastream.Generator[Transfer]{Splits: 8, Next: next})
//	byAccount := datastream.KeyBy(transfers, "by account", func(t Transfer) int64 { return t.Account })
//	totals := datastream.Process(byAccount, "total", func() datastream.ProcessFunction[int64, Transfer, Total] { return &total{} })
//	datastream.To(totals, "write", datastream.Table{Options: map[string]string{"connector": "filesystem", ...}})
//
// An Env only collects what is to run; nothing happens before its graph is submitted
// (tidemill.Run, tidemill.Main). The graph names functions by the uids that they are given
// here: every process that runs the job builds the same Env and finds them in it. Names
// carry a fingerprint of the whole graph, so that a process that was built otherwise
// refuses the job by name instead of running another one. So build functions must be
// deterministic, and what differs between processes belongs into options of tables.
//
// # Rows
//
// A struct is a row of its exported fields; the tag `tidemill:"name,TIMESTAMP(6)"` gives a
// column another name, or type. Fields are integers, floats, bool, string, []byte,
// time.Time, or pointers to them, which may be nil for NULL. Rows travel as columns; they
// are decoded and encoded a batch at a time, column for column. Functions are given
// copies, which they may keep.
//
// # Functions
//
// One object is made for each subtask, and one goroutine uses it. Errors that it returns,
// and panics, end the task, with the uid and the row in hand; the process lives. State
// needs no error checks: where it fails, the task ends.
//
// Keyed state (Value, List, Map) and timers belong to the key of the row in hand. Shared
// state belongs to the subtask: of a Share each subtask of a restore gets its part, of a
// Union everything, and of Broadcast state, which is the same everywhere, a copy.
//
// # Vertices
//
// Operators that follow each other in the same distribution run in one task. A stream that
// is read more than once, keyed, connected or a side output begins a vertex of its own.
package datastream
