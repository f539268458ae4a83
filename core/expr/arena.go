package expr

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
)

// run is the memory of one evaluation: an arena that is used again for the next
// batch. Intermediate vectors live here; only results are allocated.
type run struct {
	mem memory.Allocator
	// textLimit is how many bytes of text one vector can have: its offsets are int32.
	textLimit int
	charged   int // for this evaluation, beside what mem allocated

	cols    []arrow.Array
	rows    int // physical rows of the batch
	loaded  []*vector
	slabs   [][]byte
	slab    int // slab in use
	used    int // bytes used of it
	rowRuns [][]int32
	rowRun  int
	all     []int32 // 0, 1, 2, ...
	vectors []*vector
	vecUsed int
	own     bool // the next values are the result's: allocate them
	release []arrow.Array
	buffers []*memory.Buffer
}

// The first slab is small, for programs that see a few rows: constants, small
// tables, the last batch of a group. The next ones double up to slabBytes.
const (
	firstSlabBytes = 4 << 10
	slabBytes      = 256 << 10
)

// keptBytes is the most that is kept of one node's text, or in one slab, for the next
// batch. What is larger is charged to the operator while the batch lasts.
const keptBytes = 4 << 20

// charger is an allocator that also charges for memory that it did not allocate.
type charger interface{ Charge(bytes int) }

// charge charges n bytes of the heap until finish; like the allocator it panics
// when there is no room.
func (c *run) charge(n int) {
	if m, ok := c.mem.(charger); ok {
		m.Charge(n)
		c.charged += n
	}
}

// checkText refuses what one vector of text cannot hold.
func (c *run) checkText(bytes int) error {
	if bytes > c.textLimit {
		return failure.Errorf(failure.UserCode, "the text of one batch has more than %d bytes; lower execution.batch-rows", c.textLimit)
	}
	return nil
}

// reset makes the arena empty for a batch.
func (c *run) reset(cols []arrow.Array, rows int) {
	c.cols, c.rows = cols, rows
	c.slab, c.used, c.rowRun, c.vecUsed, c.own = 0, 0, 0, 0, false
	if cap(c.loaded) < len(cols) {
		c.loaded = make([]*vector, len(cols))
	}
	c.loaded = c.loaded[:len(cols)]
	clear(c.loaded)
}

// finish releases what the evaluation held beside its result.
func (c *run) finish() {
	for _, a := range c.release {
		a.Release()
	}
	for _, b := range c.buffers {
		b.Release()
	}
	c.release, c.buffers, c.cols = c.release[:0], c.buffers[:0], nil
	if c.charged > 0 {
		c.mem.(charger).Charge(-c.charged)
		c.charged = 0
	}
}

// bytes returns n bytes of undefined content, aligned to 64.
func (c *run) bytes(n int) []byte {
	if n > keptBytes {
		c.charge(n)
		return make([]byte, n)
	}
	for ; c.slab < len(c.slabs); c.slab, c.used = c.slab+1, 0 {
		if s := c.slabs[c.slab]; c.used+n <= len(s) {
			out := s[c.used : c.used+n : c.used+n]
			c.used = min(len(s), (c.used+n+63)&^63)
			return out
		}
	}
	size := min(slabBytes, firstSlabBytes<<min(len(c.slabs), 16))
	c.slabs = append(c.slabs, make([]byte, max(size, (n+63)&^63)))
	return c.bytes(n)
}

// rowBuffer returns an empty list of rows with room for n.
func (c *run) rowBuffer(n int) []int32 {
	if c.rowRun < len(c.rowRuns) && cap(c.rowRuns[c.rowRun]) >= n {
		c.rowRun++
		return c.rowRuns[c.rowRun-1][:0]
	}
	b := make([]int32, 0, n)
	if c.rowRun < len(c.rowRuns) {
		c.rowRuns[c.rowRun] = b
	} else {
		c.rowRuns = append(c.rowRuns, b)
	}
	c.rowRun++
	return b
}

// upTo returns the rows 0 to n-1.
func (c *run) upTo(n int) []int32 {
	for len(c.all) < n {
		c.all = append(c.all, int32(len(c.all)))
	}
	return c.all[:n]
}

// vector returns an empty vector of n rows.
func (c *run) vector(l layout, n int) *vector {
	if c.vecUsed == len(c.vectors) {
		c.vectors = append(c.vectors, &vector{})
	}
	v := c.vectors[c.vecUsed]
	c.vecUsed++
	*v = vector{layout: l, n: n}
	return v
}

// nullVector returns a constant NULL.
func (c *run) nullVector(l layout) *vector {
	v := c.vector(l, 1)
	v.constant, v.null = true, true
	return v
}

// allocate gives v room for its fixed-width values or its bits.
func (c *run) allocate(v *vector) {
	size := v.n * v.layout.width()
	if v.layout == boolLayout {
		size = wordBytes(v.n)
	}
	if !c.own || v.constant {
		v.data = c.bytes(size)
		return
	}
	c.own = false
	v.buf = memory.NewResizableBuffer(c.mem)
	v.buf.Resize(size)
	c.buffers = append(c.buffers, v.buf)
	v.data = v.buf.Bytes()
}
