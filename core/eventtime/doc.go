// Package eventtime combines the watermarks of several inputs into one. It is a
// pure state machine: no clock, no goroutine; lanes of a partition and inputs of
// a task both use it.
//
// An input is ACTIVE, IDLE or FINISHED:
//
//	          Idle                  Finish
//	ACTIVE ---------> IDLE  ... ------------> FINISHED
//	       <---------
//	        Active, or a watermark
//
// The combined watermark is the minimum over the inputs that are ACTIVE and
// whose watermark is not yet the maximum. It never goes back. Idle inputs do not
// hold it up. An input at the maximum has no time left to tell, so it neither
// holds time up nor moves it: a bounded input that ends beside idle ones must
// not carry time to the end, since they may wake up.
//
//	inputs                              combined
//	some active                         their minimum
//	none active, some idle              IDLE; the maximum over the idle ones
//	none active, none idle, all at max  the maximum
//	all finished, not all at max        stays
//
// That the last active input going idle may advance time makes the result
// independent of the order in which inputs go idle.
package eventtime
