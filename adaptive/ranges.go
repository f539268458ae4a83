package adaptive

import "fmt"

// Ranges cuts partitions, of which the bytes are known, into n ranges that are as equal
// as whole partitions allow: subtask i reads those from bounds[i] to below bounds[i+1].
// Partitions without any bytes are cut by their number.
func Ranges(subject string, bytes []uint64, n int) (bounds []uint32, d Decision) {
	total, empty := uint64(0), 0
	for _, b := range bytes {
		total += b
		if b == 0 {
			empty++
		}
	}
	bounds = make([]uint32, n+1)
	if total == 0 {
		for i := range bounds {
			bounds[i] = uint32(i * len(bytes) / n)
		}
	} else {
		cut(bytes, total, bounds)
	}
	largest := uint64(0)
	for i := range n {
		sum := uint64(0)
		for _, b := range bytes[bounds[i]:bounds[i+1]] {
			sum += b
		}
		largest = max(largest, sum)
	}
	return bounds, Decision{
		Rule: "partition ranges", Subject: subject,
		Inputs: fmt.Sprintf("%s in %d partitions, %d empty", size(int64(total)), len(bytes), empty),
		Effect: fmt.Sprintf("%d ranges, the largest of %s", n, size(int64(largest))),
	}
}

// cut sets each bound where what precedes it comes closest to its share.
func cut(bytes []uint64, total uint64, bounds []uint32) {
	n := len(bounds) - 1
	at, before := 0, uint64(0)
	for i := 1; i < n; i++ {
		share := uint64(float64(total) * float64(i) / float64(n))
		for at < len(bytes) && before+bytes[at] <= share {
			before += bytes[at]
			at++
		}
		if at < len(bytes) && before < share && before+bytes[at]-share < share-before {
			before += bytes[at]
			at++
		}
		bounds[i] = uint32(at)
	}
	bounds[n] = uint32(len(bytes))
}
