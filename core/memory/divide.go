package memory

// What a process takes beside its ledger. The program is what of its text and
// constants is resident; the rest is runtime, plans, metadata of files and whatever
// else nobody charges.
const (
	programBytes = 24 << 20
	restBytes    = 10 << 20
	// Garbage is a part of the heap: what the collector needs to breathe. Buffers
	// are pooled and most of what is charged is not scanned, so more than
	// mostGarbage gains nothing.
	garbagePart = 8
	mostGarbage = 1 << 30
)

// Divide says of a process that may use size bytes in all how large its heap may
// get, which is for the garbage collector, and how much of that may be charged to
// its ledger. What a process needs to run at all it is given in any case: with less
// than about 64 MiB it uses more than size.
func Divide(size int64) (heap, ledger int64) {
	heap = max(size-programBytes, size/2)
	return heap, max(heap-restBytes-min(heap/garbagePart, mostGarbage), size/4, 1)
}
