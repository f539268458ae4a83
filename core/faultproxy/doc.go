// Package faultproxy stands between two ends of connections and does to their bytes
// what bad networks do: it is late, stalls, resets, loses one direction, flips bits.
//
//	client --> Proxy.listener  ==up==>  Proxy.dial --> server
//	                           <=down=
//
// A Proxy accepts at any listener (TCP, unix, in memory) and dials anything. Fault says
// what happens to all connections from now on; it can be changed at any time and
// applies to connections that exist, too. What is random comes from Options.Seed, drawn
// for each connection and direction apart, so that the same bytes meet the same fate.
//
// Each connection has two pumps, one a direction, which Close waits for. Each holds one
// buffer and nothing else: a stalled proxy pushes back as a slow network does.
package faultproxy
