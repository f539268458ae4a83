// Package endpoint holds the ends of a job inside a subtask: Source around a
// connector's reader, Values, and Sink around a connector's writer.
//
// Source reads what its reader gives and asks for another split when the reader
// wants one. It asks in a goroutine of its own, one request at a time, so that the
// task goes on; Close waits for it. Its snapshot are the reader's splits with
// their positions. A split that has arrived but was not yet given to the reader
// is part of the snapshot too; one that is still on its way is not: whoever hands
// out splits must count it as not handed out.
//
// Sink prepares its writer at each barrier and at the end of input, and hands the
// committables to whoever publishes them.
package endpoint
