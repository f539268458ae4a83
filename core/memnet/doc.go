// Package memnet is a network in memory: a listener, and connections to it that behave as
// those of TCP do, with a bounded buffer in each direction, deadlines, and an end of input
// that is read after what was written before it.
//
// Everything that blocks does so on a condition variable, so that it works in fake time
// (testing/synctest). A deadline that has passed starts no timer.
package memnet
