// Package process runs functions of the program that submitted a job as operators.
//
// A job graph names a function; the process that runs the task finds it in the Functions
// that it was started with, and core/datastream is what makes functions of a user's typed
// code. What lies between the two is here, in columns:
//
//	batch --Begin--> keys of its rows, each once --Select(row)--> the key in hand
//	                    |                                            |
//	                    +--one lookup a batch and table--> slots ----+--> Value, List
//	                                                                 +--> timers
//
// Keyed state lies in tables of core/state by the key columns alone, for the hash of the
// key decides the group, and the group the subtask. Slots are looked up for all keys of a
// batch at once, at the first question, and stay until its end; what was cleared leaves
// the table then, and what was put into lists or timers goes there.
//
// Timers lie in a table whose namespaces are stretches of time; a value holds the times of
// a key. They fire in the order of their times, those of equal times in no order that
// anybody may rely on. Timers of processing time fire when the task looks at the clock.
//
// State that belongs to the operator and no key (Shared) is in the operator's snapshot;
// it goes to every subtask of a restore, which takes its part.
//
// A panic of a function is an error of class UserCode with the operator, the row in hand
// and the stack; so the task fails, and the process lives.
package process
