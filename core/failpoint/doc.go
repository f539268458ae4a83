// Package failpoint names the moments at which a crash would hurt most: around each
// step that commits, seals, publishes or hands over.
//
//	if err := failpoint.Hit(failpoint.PublishBegin); err != nil {
//		return err
//	}
//
// A program built without the tag `failpoint` pays nothing: Hit is a constant nil that
// the compiler removes. With the tag, and with TIDEMILL_FAILPOINTS naming a directory,
// a point that is reached looks there for a file of its name. The file says what
// happens, and at which hit, counted over all processes that look there:
//
//	kill     the process ends as by kill -9
//	error    Hit returns a transient error
//	delay    the process goes on after a second
//	hold     every process that comes there waits until the file is gone
//	kill:3   two hits pass, the third ends the process
//
// Whoever fires a point, other than to hold, renames its file to NAME.fired-PID, so that it fires once, and
// the one who armed it finds out who it hit. Each hit, armed or not, adds a line NAME
// PID to the file `hits`. The directory and the environment are the only state: the
// points of a running process can be armed at any time.
package failpoint
