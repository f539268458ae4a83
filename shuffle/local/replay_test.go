package local_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/shuffletest"
)

// replayed is an exchange of retention checkpoint with one partition. All its calls come
// from one goroutine.
type replayed struct {
	t       *testing.T
	mem     *memory.CheckedAllocator
	service *local.Service
	spec    shuffle.Spec
	writers []shuffle.Writer
	attempt []uint32 // of the lanes
	reader  shuffle.Reader
	readers uint32
}

func newReplayed(t *testing.T, lanes int, o local.Options) *replayed {
	t.Helper()
	r := &replayed{t: t, mem: memory.NewCheckedAllocator(memory.NewGoAllocator()), attempt: make([]uint32, lanes)}
	o.Alloc = r.mem
	r.service = local.New(o)
	r.spec = shuffle.Spec{
		Job: id.Job{1}, Exchange: 1, Schema: shuffletest.Schema(), Lanes: lanes, Partitions: 1, Retention: shuffle.RetainCheckpoint, BudgetBytes: 1 << 20,
	}
	r.no(r.service.Open(t.Context(), r.spec))
	for lane := range lanes {
		r.writers = append(r.writers, r.writer(lane))
	}
	r.read()
	return r
}

func (r *replayed) no(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *replayed) writer(lane int) shuffle.Writer {
	r.t.Helper()
	w, err := r.service.Writer(r.t.Context(), id.Job{1}, 1, uint32(lane), r.attempt[lane])
	r.no(err)
	return w
}

func (r *replayed) read() {
	r.t.Helper()
	var err error
	r.reader, err = r.service.Reader(r.t.Context(), id.Job{1}, 1, 0, r.readers)
	r.no(err)
}

// send sends what a word says: a row of that number, wN, bN, idle, active or end.
func (r *replayed) send(lane int, words ...string) {
	r.t.Helper()
	for _, word := range words {
		var n int64
		_, _ = fmt.Sscanf(strings.TrimLeft(word, "wb"), "%d", &n)
		w := r.writers[lane]
		switch {
		case word == "end":
			_, err := w.Finish(r.t.Context())
			r.no(err)
		case word == "idle":
			r.no(w.Broadcast(r.t.Context(), stream.Element{Kind: stream.IdleElement}))
		case word == "active":
			r.no(w.Broadcast(r.t.Context(), stream.Element{Kind: stream.ActiveElement}))
		case word[0] == 'w':
			r.no(w.Broadcast(r.t.Context(), stream.Advance(stream.Watermark(n))))
		case word[0] == 'b':
			r.no(w.Broadcast(r.t.Context(), stream.Element{Kind: stream.BarrierElement, Barrier: stream.Barrier{Checkpoint: id.Checkpoint(n)}}))
		default:
			b := array.NewRecordBuilder(r.mem, shuffletest.Schema().Arrow())
			b.Field(0).(*array.Int64Builder).Append(n)
			b.Field(1).(*array.StringBuilder).Append("a row")
			r.no(w.Send(r.t.Context(), 0, stream.NewBatch(b.NewRecordBatch())))
			b.Release()
		}
	}
}

// one reads an element as send is told of it; empty: there is none.
func (r *replayed) one() string {
	r.t.Helper()
	e, ok, err := r.reader.Poll()
	r.no(err)
	if !ok {
		return ""
	}
	defer e.Release()
	switch e.Kind {
	case stream.DataElement:
		return fmt.Sprint(e.Batch.Column(0).(*array.Int64).Value(0))
	case stream.WatermarkElem:
		return fmt.Sprint("w", int64(e.Watermark))
	case stream.BarrierElement:
		return fmt.Sprint("b", uint64(e.Barrier.Checkpoint))
	case stream.EndOfInput:
		return "end"
	default:
		return strings.ToLower(e.Kind.String())
	}
}

func (r *replayed) want(words ...string) {
	r.t.Helper()
	var have []string
	for word := r.one(); word != ""; word = r.one() {
		have = append(have, word)
	}
	if !slices.Equal(have, words) {
		r.t.Fatalf("have %v, want %v", have, words)
	}
}

// again has the reader and some lanes begin again.
func (r *replayed) again(c id.Checkpoint, lanes ...int) error {
	r.t.Helper()
	r.no(r.reader.Close())
	r.readers++
	part := shuffle.Rewound{Reader: r.readers}
	for _, lane := range lanes {
		r.attempt[lane]++
		part.Lanes = append(part.Lanes, shuffle.LaneAttempt{Lane: uint32(lane), Attempt: r.attempt[lane]})
	}
	if err := r.service.Rewind(id.Job{1}, 1, c, part); err != nil {
		return err
	}
	for _, lane := range lanes {
		r.writers[lane] = r.writer(lane)
	}
	r.read()
	return nil
}

func (r *replayed) drop() {
	r.t.Helper()
	r.no(r.service.Drop(context.Background(), id.Job{1}, 1))
	r.mem.AssertSize(r.t, 0)
}

func TestReplayFromTheBeginning(t *testing.T) {
	r := newReplayed(t, 2, local.Options{})
	r.send(0, "1", "w5")
	r.send(1, "2", "w7")
	r.want("1", "2", "w5")
	r.send(0, "3")
	r.no(r.again(0))
	r.want("1", "2", "w5", "3")
	r.no(r.again(0, 1)) // lane 1 is written again
	r.want("1", "3")
	r.send(1, "2", "w7", "4")
	r.want("2", "w5", "4")
	r.drop()
}

func TestReplayFromABarrier(t *testing.T) {
	r := newReplayed(t, 2, local.Options{})
	r.send(0, "1", "w5", "b1", "3")
	r.send(1, "2", "w7", "b1", "4", "w9")
	r.want("1", "2", "w5", "b1", "3", "4")
	r.send(0, "idle")
	r.send(1, "idle")
	r.service.Completed(id.Job{1}, 1)
	r.want("w9", "idle")
	r.no(r.again(1))
	r.want("w5", "3", "4", "w9", "idle") // time stands where it was behind the barrier
	r.send(0, "b2", "5")                 // ahead of lane 1
	r.want()
	r.no(r.again(1))
	r.want("w5", "3", "4", "w9", "idle")
	r.send(1, "b2")
	r.want("b2", "5")
	r.no(r.again(2)) // complete, although nobody has told
	r.want("w9", "idle", "5")
	r.service.Completed(id.Job{1}, 2)
	if err := r.again(1); err == nil {
		t.Fatal("what came since checkpoint 1 was there")
	}
	r.drop()
}

// A lane that is written again does not hold a barrier back that others have sent since.
func TestReplayWithoutALane(t *testing.T) {
	r := newReplayed(t, 3, local.Options{})
	for lane := range 3 {
		r.send(lane, "b1")
	}
	r.want("b1")
	r.send(0, "1", "b2", "2")
	r.send(1, "10", "b2", "11", "w1")
	r.send(2, "20", "b2", "21", "end")
	r.want("1", "10", "20", "b2", "2", "11", "21")
	r.no(r.again(1, 0))
	r.want("10", "20")
	r.send(0, "1")
	r.want("1")
	r.send(0, "b2") // of a checkpoint that was given up
	r.want("b2", "11", "21")
	r.send(0, "b3", "2", "w3")
	r.send(1, "b3")
	r.want("b3", "2", "w1")
	r.no(r.again(3))
	r.want("2", "w1")
	r.send(0, "end")
	r.send(1, "w9", "end")
	r.want("w9", "end")
	r.service.Completed(id.Job{1}, 4) // all lanes had ended before
	r.no(r.again(4, 0))
	r.want("w9", "end")
	r.send(0, "w8", "end") // a restored subtask that had finished ends again
	r.want()
	r.drop()
}

// Beyond the limit what is kept is given up, until the next barrier.
func TestReplayIsGivenUp(t *testing.T) {
	r := newReplayed(t, 1, local.Options{Replay: 4 * 1000})
	for i := range 20 {
		r.send(0, fmt.Sprint(i))
		if word := r.one(); word != fmt.Sprint(i) {
			t.Fatalf("have %q", word)
		}
	}
	if err := r.again(0); err == nil || !strings.Contains(err.Error(), "given up 1 times, beyond 1000 bytes") {
		t.Fatal(err)
	}
	r = func() *replayed { r.drop(); return newReplayed(t, 1, local.Options{Replay: 4 * 1000}) }()
	for i := range 20 {
		r.send(0, fmt.Sprint(i))
		r.one()
	}
	r.send(0, "b1", "50")
	r.want("b1", "50")
	r.no(r.again(1))
	r.want("50")
	r.drop()
}

// A reader that has enough lets its producers go on for good.
func TestReplayOfWhoHasEnough(t *testing.T) {
	r := newReplayed(t, 1, local.Options{})
	r.send(0, "1", "2")
	r.one()
	r.reader.(shuffle.SatisfiedReader).Enough()
	r.no(r.reader.Close())
	for i := range 1 << 12 { // more than its budget
		r.send(0, fmt.Sprint(i))
	}
	r.send(0, "b1", "end")
	if err := r.again(0); err == nil {
		t.Fatal("it is read again")
	}
	r.drop()
}

// Errors of who asks for something that is not there.
func TestRewindOfWhatIsNotThere(t *testing.T) {
	r := newReplayed(t, 1, local.Options{})
	for _, part := range []shuffle.Rewound{{Partition: 1, Reader: 1}, {Reader: 1, Lanes: []shuffle.LaneAttempt{{Lane: 1}}}} {
		if err := r.service.Rewind(id.Job{1}, 1, 0, part); err == nil {
			t.Errorf("%+v was rewound", part)
		}
	}
	if err := r.service.Rewind(id.Job{1}, 2, 0, shuffle.Rewound{}); err == nil {
		t.Error("an exchange that is not there was rewound")
	}
	r.drop()
}

// An order that comes when all has begun again changes nothing.
func TestRewindThatComesLate(t *testing.T) {
	r := newReplayed(t, 2, local.Options{})
	r.send(0, "1", "b1", "2")
	r.send(1, "b1", "3")
	r.want("1", "b1", "2", "3")
	r.no(r.again(1, 0))
	late := shuffle.Rewound{Reader: r.readers, Lanes: []shuffle.LaneAttempt{{Lane: 0, Attempt: r.attempt[0]}}}
	r.send(0, "2")
	r.want("3", "2")
	if err := r.service.Rewind(id.Job{1}, 1, 1, late); !errors.Is(err, shuffle.ErrFenced) {
		t.Fatalf("its reader is at work: %v", err)
	}
	r.no(r.reader.Close())
	r.no(r.service.Drop(t.Context(), id.Job{1}, 1))
	r.no(r.service.Open(t.Context(), r.spec))
	r.attempt = []uint32{2, 2}
	for lane := range 2 {
		r.writers[lane] = r.writer(lane)
	}
	r.send(0, "2", "end")
	r.send(1, "3", "end")
	if err := r.service.Rewind(id.Job{1}, 1, 1, late); failure.Of(err) != failure.Conflict {
		t.Fatalf("nobody has read it: %v", err)
	}
	r.readers = 2
	r.read()
	late.Reader = 3 // a lane's attempt is fenced by itself
	r.no(r.reader.Close())
	if err := r.service.Rewind(id.Job{1}, 1, 0, late); !errors.Is(err, shuffle.ErrFenced) {
		t.Fatalf("a lane has a newer attempt: %v", err)
	}
	r.want("2", "3", "end")
	r.drop()
}

// The same by chance: lanes send rows and barriers, the reader takes snapshots at barriers,
// checkpoints become complete some time later or never, and again and again the reader
// fails, alone or together with lanes. Whatever it then reads: in the end it has had each
// lane's rows once and in order.
func TestReplayByChance(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chance(t, seed) })
	}
}

func chance(t *testing.T, seed uint64) {
	const rows, every = 60, 7
	random := rand.New(rand.NewPCG(seed, 1))
	lanes := 1 + random.IntN(4)
	r := newReplayed(t, lanes, local.Options{Replay: 16 << 20})
	script := []string{} // of each lane: rows, times and the barriers 1, 2, ...
	for i := range rows {
		if script = append(script, fmt.Sprint(i)); i%3 == 0 {
			script = append(script, fmt.Sprint("w", i))
		}
		if i%every == every-1 {
			script = append(script, fmt.Sprint("b", i/every+1))
		}
	}
	script = append(script, "end")
	at := make([]int, lanes) // how far lanes are
	have := 0                // rows that the reader has had
	states := map[id.Checkpoint]int{0: 0}
	aligned, complete := id.Checkpoint(0), id.Checkpoint(0)
	ended := false
	for failures := 0; !ended; {
		switch x := random.IntN(100); {
		case x < 60:
			if lane := random.IntN(lanes); at[lane] < len(script) {
				r.send(lane, script[at[lane]])
				at[lane]++
			}
		case x < 90:
			switch word := r.one(); {
			case word == "end":
				ended = true
			case strings.HasPrefix(word, "b"):
				var n uint64
				_, _ = fmt.Sscanf(word, "b%d", &n)
				aligned = id.Checkpoint(n)
				states[aligned] = have
			case word != "" && word[0] != 'w':
				have++
			}
		case x < 96:
			if complete = max(complete, aligned); random.IntN(2) == 0 {
				r.service.Completed(id.Job{1}, complete)
			}
		case failures < 20:
			failures++
			var again []int
			for lane := range lanes {
				if random.IntN(3) == 0 {
					again = append(again, lane)
					at[lane] = 0
					if complete > 0 {
						at[lane] = slices.Index(script, fmt.Sprint("b", uint64(complete))) + 1
					}
				}
			}
			r.no(r.again(complete, again...))
			have, aligned = states[complete], complete
		}
	}
	if have != lanes*rows {
		t.Fatalf("%d rows of %d", have, lanes*rows)
	}
	r.drop()
}
