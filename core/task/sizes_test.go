package task

import "testing"

// Batches and buffers are as configured where there is memory, and shrink with it, but
// not to nothing.
func TestFit(t *testing.T) {
	for _, c := range []struct {
		most        int64
		parallelism int
		rows        int
		buffer      int64
	}{
		{1 << 40, 2, 8192, 1 << 33},
		{64 << 20, 2, 8192, 512 << 10},
		{64 << 20, 4, 4096, 256 << 10},
		{12 << 20, 1, 1024, 96 << 10},
		{12 << 20, 4, 512, 48 << 10},
		{1, 64, 128, 8 << 10},
	} {
		o := Options{}.complete().fit(c.most, c.parallelism, 0)
		if o.BatchRows != c.rows || o.bufferBytes != c.buffer {
			t.Errorf("with %d bytes and %d subtasks: %d rows, buffers of %d", c.most, c.parallelism, o.BatchRows, o.bufferBytes)
		}
	}
	if o := (Options{BatchRows: 100}).fit(1, 2, 0); o.BatchRows != 100 {
		t.Errorf("fewer rows than the least became %d", o.BatchRows)
	}
}
