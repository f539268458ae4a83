package memory

// What a process takes beside its ledger. The program is what of its text and
// constants is resident. Of the heap, a part is for plans, metadata of files and
// whatever else nobody charges, and as much for garbage: buffers are pooled and most
// of what is charged is not scanned, so the collector needs little.
const (
	programBytes = 27 << 20
	heapPart     = 8
	mostRest     = 10 << 20
	mostGarbage  = 1 << 30
	// The collector is late when the machine is busy, by about this part of the heap:
	// it is told so much less.
	latePart = 16
	mostLate = 24 << 20
)

// Divide says of a process that may use size bytes in all how large its heap may
// get, which is for the garbage collector, and how much of that may be charged to
// its ledger. What a process needs to run at all it is given in any case: with less
// than about 64 MiB it uses more than size.
func Divide(size int64) (heap, ledger int64) {
	heap = max(size-programBytes, size/2)
	part := heap / heapPart
	return heap - min(heap/latePart, mostLate), max(heap-min(part, mostRest)-min(part, mostGarbage), 1)
}
