package shuffletest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// The ledger test: every row's id is sent exactly once by the attempt that wins
// its lane, and must come out exactly once, in the partition that the manifest
// says. A seeded plan kills attempts before they begin, in the midst and right
// before their end.
func ledger(h *harness, retention shuffle.Retention) {
	for seed := range uint64(5) {
		const lanes, partitions, rows = 4, 3, 600
		h.open(retention, lanes, partitions, 2000)
		manifests := make([]shuffle.Manifest, lanes)
		var wg sync.WaitGroup
		first := make([]shuffle.Writer, lanes)
		for lane := range uint32(lanes) {
			first[lane] = h.writer(lane, 0) // before a reader comes to a server that knows nothing yet
		}
		for lane := range uint32(lanes) {
			random := rand.New(rand.NewPCG(seed, uint64(lane)))
			wg.Go(func() { manifests[lane] = h.writeLane(random, retention, first[lane], lane, partitions, rows) })
		}
		read := make([]map[int64]int, partitions)
		for p := range uint32(partitions) {
			read[p] = map[int64]int{}
			wg.Go(func() { h.readPartition(p, read[p]) })
		}
		wg.Wait()
		for p := range partitions {
			sent := uint64(0)
			for _, m := range manifests {
				sent += m.Partitions[p].Rows
			}
			if int(sent) != len(read[p]) {
				h.t.Errorf("seed %d, partition %d: manifests say %d rows, read %d", seed, p, sent, len(read[p]))
			}
			for row, times := range read[p] {
				if times != 1 || int(row)%partitions != p {
					h.t.Fatalf("seed %d, partition %d: row %d came %d times", seed, p, row, times)
				}
			}
		}
		if err := h.service.Drop(context.Background(), h.job, 1); err != nil {
			h.t.Fatal(err)
		}
	}
}

// writeLane writes rows lane*rows... until an attempt finishes. Of retention
// none only attempts that sent nothing may fail.
func (h *harness) writeLane(random *rand.Rand, retention shuffle.Retention, w shuffle.Writer, lane uint32, partitions, rows int) shuffle.Manifest {
	for attempt := uint32(0); ; attempt++ {
		if attempt > 0 {
			w = h.writer(lane, attempt)
		}
		dies := -1
		if attempt < 3 && random.IntN(2) == 0 {
			dies = 0
			if retention == shuffle.RetainJob {
				dies = random.IntN(rows)
			}
		}
		sent := 0
		for sent < rows && sent != dies {
			n := 1
			b := h.batch(int64(int(lane)*rows+sent), n)
			partition := uint32((int(lane)*rows + sent) % partitions)
			if err := w.Send(context.Background(), partition, b); err != nil {
				h.t.Error(err)
				return shuffle.Manifest{}
			}
			sent += n
		}
		if dies < 0 {
			return h.finish(w)
		}
		if err := w.Close(); err != nil {
			h.t.Error(err)
		}
	}
}

func (h *harness) readPartition(partition uint32, into map[int64]int) {
	r := h.reader(partition, 0)
	defer func() {
		if err := r.Close(); err != nil {
			h.t.Error(err)
		}
	}()
	for {
		e, err := next(r)
		if err != nil {
			h.t.Error(fmt.Errorf("partition %d: %w", partition, err))
			return
		}
		if e.Kind == stream.EndOfInput {
			return
		}
		if e.Kind == stream.DataElement {
			for _, row := range e.Batch.Column(0).(*array.Int64).Int64Values() {
				into[row]++
			}
		}
		e.Release()
	}
}
