package parser

const (
	firstChunk = 8
	lastChunk  = 128
)

// chunk allocates values in groups, because names make up half of a statement's nodes. The values of a group live as long as any of
// them; those of one statement do so anyway.
type chunk[T any] struct {
	free []T
	size int
}

// take returns n fresh values in a slice that cannot grow into its neighbours.
func (c *chunk[T]) take(n int) []T {
	if n > len(c.free) {
		c.size = min(max(2*c.size, firstChunk), lastChunk)
		c.free = make([]T, max(n, c.size))
	}
	taken := c.free[:n:n]
	c.free = c.free[n:]
	return taken
}

// one returns one fresh value.
func (c *chunk[T]) one() *T { return &c.take(1)[0] }
