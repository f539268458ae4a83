package gen

// The generator is Lehmer's: seed' = seed * multiplier mod modulus.
const (
	multiplier = 16807
	modulus    = 1<<31 - 1
)

// stream is the random numbers of one column. One goroutine uses it.
type stream struct {
	seed         int64
	perRow, used int64
}

// skip goes on as if count numbers had been drawn.
func (s *stream) skip(count int64) {
	for m := int64(multiplier); count > 0; count >>= 1 {
		if count&1 == 1 {
			s.seed = m * s.seed % modulus
		}
		m = m * m % modulus
	}
}

func (s *stream) draw() float64 {
	s.seed = s.seed * multiplier % modulus
	s.used++
	return float64(s.seed) / modulus
}

// between draws a whole number from low to high, both included.
func (s *stream) between(low, high int64) int64 {
	return low + int64(s.draw()*float64(high-low+1))
}

// bits draws what letters are made of: the specification's generator asks for a
// range of 2^31 in 32 bits, and so gets negative numbers.
func (s *stream) bits() int64 {
	return int64(s.draw() * -(1 << 31))
}

// rowStreams are the streams of a table, moved from row to row together.
type rowStreams struct {
	first int64 // rows before the first one
	all   []*stream
}

// open adds a stream, placed before the first row.
func (r *rowStreams) open(seed, perRow int64) *stream {
	s := &stream{seed: seed, perRow: perRow}
	s.skip(perRow * r.first)
	r.all = append(r.all, s)
	return s
}

// next ends the row: draws it did not use are passed over.
func (r *rowStreams) next() {
	for _, s := range r.all {
		s.skip(s.perRow - s.used)
		s.used = 0
	}
}
