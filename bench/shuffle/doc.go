// Package shuffle measures the exchange beside what it is built on, on the same
// batches in the same run:
//
//	copy      bytes through a socket, nobody looks at them
//	frames    the batches as opaque bodies with a length and a CRC-32C: what is left
//	          to a transport that neither builds nor reads Arrow messages
//	flight    stock arrow-go Flight, DoPut and DoExchange
//	channel   a Go channel: batches by pointer
//	tidemill  ours
//
// A path moves batches from producers to consumers, over no socket, a unix socket or
// TCP on loopback, in one hop or in two: then a daemon keeps all of them, and consumers
// read what it has kept. Both ends are in this process, so its CPU time is that of both.
//
// Paths take turns, one run each, as often as runs are counted. What a path is to its
// base is taken within a round and is the median of rounds: what disturbs the machine
// for a while disturbs both. Each run's rows are counted at the consumer; a path that
// loses one fails.
//
// GB are of Arrow buffers as producers hold them, whatever is sent for them, and are
// counted once in two hops.
package shuffle
