package task

// Batches are in scans, in buffers by partition and in exchanges at once, as many as
// the square of the parallelism: where memory is small, they are smaller. Streaming
// jobs go by what is configured: where a restarted source goes on depends on it.
const (
	// bytesPerRow is what the ledger has for each row of a batch and subtask.
	bytesPerRow = 4 << 10
	leastRows   = 128
	// bufferPart is the part of the ledger's limit, divided by subtasks, at which a
	// partition's buffer is sent.
	bufferPart  = 64
	leastBuffer = 8 << 10
)

// fit is o for a worker whose ledger has a limit of most bytes.
func (o Options) fit(most int64, parallelism int) Options {
	subtasks := int64(max(parallelism, 2))
	for int64(o.BatchRows) > leastRows && int64(o.BatchRows)*bytesPerRow*subtasks > most {
		o.BatchRows = max(o.BatchRows/2, leastRows)
	}
	o.bufferBytes = max(most/bufferPart/subtasks, leastBuffer)
	return o
}
