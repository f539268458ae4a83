package faultproxy

import "time"

// Direction says which bytes a fault is about.
type Direction uint8

// The directions.
const (
	Both Direction = iota
	Up             // from client to server
	Down           // from server to client
)

func (d Direction) String() string {
	switch d {
	case Both:
		return "both"
	case Up:
		return "up"
	case Down:
		return "down"
	default:
		return "invalid"
	}
}

// Fault is what a proxy does to bytes. The zero value hands them through.
type Fault struct {
	// On are the bytes it is done to.
	On Direction
	// Latency and a random part of Jitter pass before each piece is handed on.
	Latency, Jitter time.Duration
	// Stall holds all bytes back until the fault is changed.
	Stall bool
	// Swallow takes bytes and does not hand them on: with one direction, a connection
	// that is half open.
	Swallow bool
	// Corrupt flips one bit in about one of this many bytes; zero: none.
	Corrupt int64
	// ResetAfter resets a connection once this many more of its bytes have passed in a
	// direction; zero: never.
	ResetAfter int64
}

func (f Fault) on(d Direction) bool { return f.On == Both || f.On == d }
