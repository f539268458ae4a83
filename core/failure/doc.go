// Package failure classifies errors once, where the cause is known, so that
// nobody downstream guesses from their text.
//
// A class decides three things: whether the scheduler may try again (Transient,
// LostPartition), which exit code a command ends with, and how the error is
// shown. Wrap attaches a class; Of finds the outermost one in a chain; an error
// nobody classified is Fatal, because retrying what is not understood may repeat
// its effects. Classes survive the wire: core/rpc carries class and text.
package failure
