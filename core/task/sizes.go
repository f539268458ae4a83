package task

// Batches are in scans, in buffers by partition and in exchanges at once, as many as
// the square of the parallelism: where memory is small, they are smaller. Streaming
// jobs go by what is configured: where a restarted source goes on depends on it.
const (
	// bytesPerRow is what the ledger has for each row of a batch and subtask.
	bytesPerRow = 4 << 10
	leastRows   = 128
	// bufferPart is the part of the ledger's limit, divided by subtasks or by partitions
	// of an output, if those are more, at which a partition's buffer is sent.
	bufferPart  = 64
	leastBuffer = 8 << 10
)

// fit is o for a worker whose ledger has a limit of most bytes.
func (o Options) fit(most int64, parallelism, partitions int) Options {
	subtasks := int64(max(parallelism, 2))
	for int64(o.BatchRows) > leastRows && int64(o.BatchRows)*bytesPerRow*subtasks > most {
		o.BatchRows = max(o.BatchRows/2, leastRows)
	}
	o.bufferBytes = max(most/bufferPart/max(subtasks, int64(partitions)), leastBuffer)
	return o
}

// widest is the number of partitions of the output that has the most.
func (d Descriptor) widest() (n int) {
	for _, e := range d.Out {
		n = max(n, e.Partitions)
	}
	return n
}
