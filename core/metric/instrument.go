package metric

import "sync/atomic"

// cacheLine keeps instruments that different tasks update out of each other's cache lines.
const cacheLine = 64

// Counter is a sum that only grows. All methods may be called concurrently.
type Counter struct {
	value atomic.Uint64
	_     [cacheLine - 8]byte
}

// Add adds n.
func (c *Counter) Add(n uint64) { c.value.Add(n) }

// Inc adds one.
func (c *Counter) Inc() { c.value.Add(1) }

// Value returns the sum so far.
func (c *Counter) Value() uint64 { return c.value.Load() }

// Gauge is a number that goes up and down, such as bytes held. All methods may be called concurrently.
type Gauge struct {
	value atomic.Int64
	_     [cacheLine - 8]byte
}

// Set replaces the number.
func (g *Gauge) Set(n int64) { g.value.Store(n) }

// Add changes the number by n, which may be negative.
func (g *Gauge) Add(n int64) { g.value.Add(n) }

// Value returns the number.
func (g *Gauge) Value() int64 { return g.value.Load() }
