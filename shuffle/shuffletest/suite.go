package shuffletest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Options are what a case wants of the service that it is given.
type Options struct {
	Alloc memory.Allocator // for everything that the service allocates
	// LaneGuarantee is each lane's guaranteed credit in bytes.
	LaneGuarantee int64
}

// Apart is a service whose readers may be in other processes than what they read, so
// that what is sent everywhere is not the same memory for all of them.
type Apart interface {
	shuffle.Service
	Apart() bool
}

// Run runs every case against services that open makes. One that is an io.Closer is
// closed after its case.
func Run(t *testing.T, open func(t *testing.T, o Options) shuffle.Service) {
	cases := []struct {
		name string
		run  func(h *harness)
	}{
		{"rows of a lane stay in order", rowsStayInOrder},
		{"a writer without credit waits", writerWaits},
		{"waiting ends with the context", waitingEndsWithContext},
		{"barriers align at minimal credit", barriersAlign},
		{"a finished lane has every barrier", finishedLaneHasBarriers},
		{"watermark is the minimum over lanes", watermarkIsMinimum},
		{"paired lanes are apart", pairedLanesAreApart},
		{"what is sent everywhere is given to each", everywhereIsGivenToEach},
		{"an attempt fences earlier ones", attemptsFence},
		{"a lane that was read is not written again", readLaneIsFinal},
		{"stored: late readers, read twice", storedReadTwice},
		{"stored: the first attempt to finish wins", firstCommitWins},
		{"drop releases everything", dropReleases},
		{"open is idempotent", openIsIdempotent},
		{"ledger: pipelined", func(h *harness) { ledger(h, shuffle.RetainNone) }},
		{"ledger: stored", func(h *harness) { ledger(h, shuffle.RetainJob) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
				h := &harness{t: t, mem: mem, job: id.Job{7}}
				h.service = open(t, Options{Alloc: mem, LaneGuarantee: guarantee})
				c.run(h)
				for ex := range id.Exchange(8) {
					if err := h.service.Drop(context.Background(), h.job, ex); err != nil {
						t.Errorf("drop: %v", err)
					}
				}
				if c, ok := h.service.(io.Closer); ok {
					if err := c.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}
				mem.AssertSize(t, 0)
			})
		})
	}
}

// guarantee is smaller than every batch of the suite, so a lane has credit for
// one batch only.
const guarantee = 16

type harness struct {
	t       *testing.T
	mem     *memory.CheckedAllocator
	job     id.Job
	service shuffle.Service
}

// Schema is that of the suite's batches.
func Schema() datatype.Schema {
	return datatype.Schema{
		{Name: "id", Type: datatype.Of(datatype.BigInt)},
		{Name: "s", Type: datatype.Of(datatype.Varchar)},
	}
}

func (h *harness) open(r shuffle.Retention, lanes, partitions int, budget int64) {
	h.t.Helper()
	err := h.service.Open(context.Background(), shuffle.Spec{
		Job: h.job, Exchange: 1, Schema: Schema(), Lanes: lanes, Partitions: partitions, Retention: r, BudgetBytes: budget,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) writer(lane, attempt uint32) shuffle.Writer {
	h.t.Helper()
	w, err := h.service.Writer(context.Background(), h.job, 1, lane, attempt)
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

func (h *harness) reader(partition, attempt uint32) shuffle.Reader {
	h.t.Helper()
	r, err := h.service.Reader(context.Background(), h.job, 1, partition, attempt)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// batch has the numbers from, from+1, ... as rows.
func (h *harness) batch(from int64, rows int) *stream.Batch {
	b := array.NewRecordBuilder(h.mem, Schema().Arrow())
	defer b.Release()
	for i := range int64(rows) {
		b.Field(0).(*array.Int64Builder).Append(from + i)
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("row ", from+i))
	}
	return stream.NewBatch(b.NewRecordBatch())
}

func (h *harness) send(w shuffle.Writer, partition uint32, from int64, rows int) {
	h.t.Helper()
	if err := w.Send(context.Background(), partition, h.batch(from, rows)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) finish(w shuffle.Writer) shuffle.Manifest {
	h.t.Helper()
	m, err := w.Finish(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		h.t.Fatal(err)
	}
	return m
}

// next waits for the next element.
func next(r shuffle.Reader) (stream.Element, error) {
	for {
		e, ok, err := r.Poll()
		if ok || err != nil {
			return e, err
		}
		<-r.Ready()
	}
}

// told prints an element and releases it.
func told(e stream.Element) string {
	defer e.Release()
	switch e.Kind {
	case stream.DataElement:
		ids := e.Batch.Column(0).(*array.Int64).Int64Values()
		return fmt.Sprintf("%d+%d", ids[0], len(ids))
	case stream.WatermarkElem:
		return fmt.Sprintf("w%d", int64(e.Watermark))
	case stream.BarrierElement:
		return fmt.Sprintf("b%d", e.Barrier.Checkpoint)
	case stream.EndOfInput:
		return "end"
	default:
		return e.Kind.String()
	}
}

// available reads what is there when everything has settled.
func (h *harness) available(r shuffle.Reader) (out []string) {
	h.t.Helper()
	for {
		e, ok, err := r.Poll()
		if err != nil {
			h.t.Fatal(err)
		}
		if !ok { // it may have gone from one server to the next
			synctest.Wait()
			select {
			case <-r.Ready():
				continue
			default:
				return out
			}
		}
		out = append(out, told(e))
		if e.Kind == stream.EndOfInput {
			return out
		}
	}
}

func (h *harness) want(have []string, want ...string) {
	h.t.Helper()
	if fmt.Sprint(have) != fmt.Sprint(want) {
		h.t.Fatalf("have %v, want %v", have, want)
	}
}

// fails calls do until it fails: with a service across processes it is a later call
// that tells of what happened elsewhere.
func (h *harness) fails(want error, do func() error) {
	h.t.Helper()
	for range 10 {
		if err := do(); err != nil {
			h.wantErr(err, want)
			return
		}
		synctest.Wait()
	}
	h.t.Fatalf("no error, want %v", want)
}

func (h *harness) wantErr(err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) {
		h.t.Fatalf("have %v, want %v", err, want)
	}
}

// broadcast returns when e has arrived, so that those of several lanes come in order.
func (h *harness) broadcast(w shuffle.Writer, e stream.Element) {
	h.t.Helper()
	if err := w.Broadcast(context.Background(), e); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

func barrier(n id.Checkpoint) stream.Element {
	return stream.Element{Kind: stream.BarrierElement, Barrier: stream.Barrier{Checkpoint: n, Kind: stream.CheckpointKind}}
}
