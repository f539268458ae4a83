package shuffletest

import (
	"context"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

func rowsStayInOrder(h *harness) {
	h.open(shuffle.RetainNone, 1, 2, 1<<20)
	w, r0, r1 := h.writer(0, 0), h.reader(0, 0), h.reader(1, 0)
	h.send(w, 0, 0, 3)
	h.send(w, 1, 10, 2)
	selected := h.batch(20, 4)
	selected.Sel = []int32{1, 3}
	if err := w.Send(context.Background(), 0, selected); err != nil {
		h.t.Fatal(err)
	}
	h.broadcast(w, stream.Advance(5))
	m := h.finish(w)
	h.want(h.available(r0), "0+3", "21+2", "w5", "end")
	h.want(h.available(r1), "10+2", "w5", "end")
	if m.Partitions[0].Rows != 5 || m.Partitions[1].Rows != 2 {
		h.t.Errorf("manifest %+v", m)
	}
}

func writerWaits(h *harness) {
	h.open(shuffle.RetainNone, 2, 1, 1)
	w0, w1, r := h.writer(0, 0), h.writer(1, 0), h.reader(0, 0)
	h.send(w0, 0, 0, 1)
	sent := make(chan error, 1)
	go func() { sent <- w0.Send(context.Background(), 0, h.batch(1, 1)) }()
	synctest.Wait()
	select {
	case err := <-sent:
		h.t.Fatalf("sent beyond the budget: %v", err)
	default:
	}
	h.send(w1, 0, 100, 1) // its guarantee is its own
	var have []string
	for range 3 {
		e, err := next(r)
		if err != nil {
			h.t.Fatal(err)
		}
		have = append(have, told(e))
	}
	h.want(have, "0+1", "100+1", "1+1")
	if err := <-sent; err != nil {
		h.t.Fatal(err)
	}
}

func waitingEndsWithContext(h *harness) {
	h.open(shuffle.RetainNone, 1, 1, 1)
	w, r := h.writer(0, 0), h.reader(0, 0)
	h.send(w, 0, 0, 1)
	ctx, cancel := context.WithCancel(context.Background())
	sent := make(chan error, 1)
	go func() { sent <- w.Send(ctx, 0, h.batch(1, 1)) }()
	synctest.Wait()
	cancel()
	h.wantErr(<-sent, context.Canceled)
	h.want(h.available(r), "0+1")
}

// barriersAlign: lane 0 is ahead by a barrier and more rows than the budget has;
// lane 1 must still get its rows through, or its barrier would never come.
func barriersAlign(h *harness) {
	h.open(shuffle.RetainNone, 2, 1, 1)
	w0, w1, r := h.writer(0, 0), h.writer(1, 0), h.reader(0, 0)
	h.broadcast(w0, barrier(1))
	ahead := make(chan error, 1)
	go func() {
		for i := range int64(3) {
			if err := w0.Send(context.Background(), 0, h.batch(100+i, 1)); err != nil {
				ahead <- err
				return
			}
		}
		ahead <- w0.Broadcast(context.Background(), stream.Advance(9))
	}()
	synctest.Wait()
	h.want(h.available(r))
	behind := make(chan error, 1)
	go func() {
		for i := range int64(3) {
			if err := w1.Send(context.Background(), 0, h.batch(i, 1)); err != nil {
				behind <- err
				return
			}
		}
		behind <- w1.Broadcast(context.Background(), barrier(1))
	}()
	var have []string
	for len(have) < 7 {
		e, err := next(r)
		if err != nil {
			h.t.Fatal(err)
		}
		have = append(have, told(e))
	}
	h.want(have, "0+1", "1+1", "2+1", "b1", "100+1", "101+1", "102+1")
	if err := <-ahead; err != nil {
		h.t.Fatal(err)
	}
	if err := <-behind; err != nil {
		h.t.Fatal(err)
	}
}

func finishedLaneHasBarriers(h *harness) {
	h.open(shuffle.RetainNone, 2, 1, 1<<20)
	w0, w1, r := h.writer(0, 0), h.writer(1, 0), h.reader(0, 0)
	h.broadcast(w0, barrier(1))
	h.send(w0, 0, 10, 1)
	h.send(w1, 0, 0, 1)
	h.finish(w1)
	h.broadcast(w0, barrier(2))
	h.finish(w0)
	h.want(h.available(r), "0+1", "b1", "10+1", "b2", "end")
}

func watermarkIsMinimum(h *harness) {
	h.open(shuffle.RetainNone, 2, 1, 1<<20)
	w0, w1, r := h.writer(0, 0), h.writer(1, 0), h.reader(0, 0)
	h.broadcast(w0, stream.Advance(10))
	h.want(h.available(r))
	h.broadcast(w1, stream.Advance(7))
	h.want(h.available(r), "w7")
	h.broadcast(w1, stream.Element{Kind: stream.IdleElement})
	h.want(h.available(r), "w10")
	h.broadcast(w0, stream.Element{Kind: stream.IdleElement})
	h.want(h.available(r), "idle")
	h.broadcast(w1, stream.Element{Kind: stream.ActiveElement})
	h.want(h.available(r), "active")
	h.broadcast(w0, stream.Advance(stream.MaxWatermark))
	h.broadcast(w1, stream.Advance(stream.MaxWatermark))
	h.finish(w0)
	h.finish(w1)
	h.want(h.available(r), "w9223372036854775807", "end")
}

func attemptsFence(h *harness) {
	for _, retention := range []shuffle.Retention{shuffle.RetainNone, shuffle.RetainJob} {
		h.open(retention, 1, 1, 1)
		old := h.writer(0, 0)
		h.send(old, 0, 0, 1)
		waiting := make(chan error, 1)
		go func() { waiting <- old.Send(context.Background(), 0, h.batch(1, 1)) }()
		synctest.Wait()
		w := h.writer(0, 1)
		if retention == shuffle.RetainNone {
			h.wantErr(<-waiting, shuffle.ErrFenced)
		} else if err := <-waiting; err != nil {
			h.t.Fatal(err)
		}
		h.fails(shuffle.ErrFenced, func() error { return old.Send(context.Background(), 0, h.batch(2, 1)) })
		h.wantErr(old.Broadcast(context.Background(), stream.Advance(1)), shuffle.ErrFenced)
		if _, err := h.service.Writer(context.Background(), h.job, 1, 0, 0); err == nil {
			h.t.Error("an old attempt may write")
		}
		h.send(w, 0, 50, 1)
		h.finish(w)
		first := h.reader(0, 0)
		r := h.reader(0, 1)
		h.fails(shuffle.ErrFenced, func() error { _, _, err := first.Poll(); return err })
		h.want(h.available(r), "50+1", "end")
		for _, c := range []interface{ Close() error }{old, first, r} {
			if err := c.Close(); err != nil {
				h.t.Error(err)
			}
		}
		if err := h.service.Drop(context.Background(), h.job, 1); err != nil {
			h.t.Fatal(err)
		}
	}
}

func readLaneIsFinal(h *harness) {
	h.open(shuffle.RetainNone, 1, 1, 1<<20)
	w, r := h.writer(0, 0), h.reader(0, 0)
	h.send(w, 0, 0, 1)
	h.want(h.available(r), "0+1")
	if _, err := h.service.Writer(context.Background(), h.job, 1, 0, 1); err == nil {
		h.t.Error("what was read can be written again")
	}
	if _, err := h.service.Reader(context.Background(), h.job, 1, 0, 1); err == nil {
		h.t.Error("what was read can be read again")
	}
	h.finish(w)
}

func storedReadTwice(h *harness) {
	h.open(shuffle.RetainJob, 2, 1, 0)
	w0, w1, early := h.writer(0, 0), h.writer(1, 0), h.reader(0, 0)
	h.send(w1, 0, 10, 2)
	h.send(w0, 0, 0, 2)
	for _, w := range []shuffle.Writer{w0, w1} {
		h.broadcast(w, stream.Advance(stream.MaxWatermark))
	}
	h.want(h.available(early))
	h.finish(w0)
	h.want(h.available(early), "0+2")
	h.finish(w1)
	<-early.Ready()
	h.want(h.available(early), "10+2", "w9223372036854775807", "end")
	late := h.reader(0, 1)
	h.want(h.available(late), "0+2", "10+2", "w9223372036854775807", "end")
	for _, r := range []shuffle.Reader{early, late} {
		if err := r.Close(); err != nil {
			h.t.Error(err)
		}
	}
}

func firstCommitWins(h *harness) {
	h.open(shuffle.RetainJob, 1, 1, 0)
	first := h.writer(0, 0)
	h.send(first, 0, 0, 1)
	h.finish(first)
	second := h.writer(0, 1)
	h.send(second, 0, 100, 5)
	_, err := second.Finish(context.Background())
	h.wantErr(err, shuffle.ErrLostRace)
	if err := second.Close(); err != nil {
		h.t.Error(err)
	}
	abandoned := h.writer(0, 2)
	h.send(abandoned, 0, 200, 5)
	if err := abandoned.Close(); err != nil {
		h.t.Error(err)
	}
	h.want(h.available(h.reader(0, 0)), "0+1", "end")
}

func dropReleases(h *harness) {
	for _, retention := range []shuffle.Retention{shuffle.RetainNone, shuffle.RetainJob} {
		h.open(retention, 1, 1, 1)
		w, r := h.writer(0, 0), h.reader(0, 0)
		h.send(w, 0, 0, 1)
		sent := make(chan error, 1)
		go func() { sent <- w.Send(context.Background(), 0, h.batch(1, 1)) }()
		synctest.Wait()
		if err := h.service.Drop(context.Background(), h.job, 1); err != nil {
			h.t.Fatal(err)
		}
		if err := <-sent; retention == shuffle.RetainNone {
			h.wantErr(err, shuffle.ErrReleased)
		}
		h.fails(shuffle.ErrReleased, func() error { return w.Send(context.Background(), 0, h.batch(2, 1)) })
		_, err := w.Finish(context.Background())
		h.wantErr(err, shuffle.ErrReleased)
		h.fails(shuffle.ErrReleased, func() error { _, _, err := r.Poll(); return err })
		_, err = h.service.Reader(context.Background(), h.job, 1, 0, 1)
		h.wantErr(err, shuffle.ErrReleased)
	}
}

func openIsIdempotent(h *harness) {
	h.open(shuffle.RetainNone, 2, 1, 0)
	h.open(shuffle.RetainNone, 2, 1, 0)
	err := h.service.Open(context.Background(), shuffle.Spec{Job: h.job, Exchange: 1, Schema: Schema(), Lanes: 3, Partitions: 1, Retention: shuffle.RetainNone})
	if err == nil {
		h.t.Error("opened twice with different specs")
	}
	if err := h.service.Open(context.Background(), shuffle.Spec{Job: h.job, Exchange: 2}); err == nil {
		h.t.Error("opened without lanes")
	}
}

// pairedLanesAreApart: lane 1 ends and aligns on its own, whatever lane 0 does.
// A reader that merges partitions would wait for ever otherwise, because what
// lane 0 has is held up by credit until lane 1 has ended.
func pairedLanesAreApart(h *harness) {
	err := h.service.Open(context.Background(), shuffle.Spec{
		Job: h.job, Exchange: 1, Schema: Schema(), Lanes: 2, Partitions: 2, Paired: true, Retention: shuffle.RetainNone, BudgetBytes: 1,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	w0, w1, r0, r1 := h.writer(0, 0), h.writer(1, 0), h.reader(0, 0), h.reader(1, 0)
	h.send(w0, 0, 0, 1)
	h.broadcast(w1, stream.Advance(3))
	h.broadcast(w1, barrier(1))
	if m := h.finish(w1); len(m.Partitions) != 2 || m.Partitions[1].Rows != 0 {
		h.t.Errorf("manifest %+v", m)
	}
	h.want(h.available(r1), "w3", "b1", "end")
	if err := w0.Send(context.Background(), 1, h.batch(5, 1)); err == nil {
		h.t.Error("lane 0 may write the partition of lane 1")
	}
	h.want(h.available(r0), "0+1")
	h.finish(w0)
	h.want(h.available(r0), "end")
}

// everywhereIsGivenToEach: every reader is given the rows of all lanes, the same ones
// in memory, and manifests count them for each partition; a reader that is gone does
// not hold up the others.
func everywhereIsGivenToEach(h *harness) {
	for _, retention := range []shuffle.Retention{shuffle.RetainNone, shuffle.RetainJob} {
		spec := shuffle.Spec{
			Job: h.job, Exchange: 1, Schema: Schema(), Lanes: 2, Partitions: 3, Everywhere: true, Retention: retention, BudgetBytes: 1 << 20,
		}
		if err := h.service.Open(context.Background(), spec); err != nil {
			h.t.Fatal(err)
		}
		w0, w1 := h.writer(0, 0), h.writer(1, 0)
		readers := []shuffle.Reader{h.reader(0, 0), h.reader(1, 0), h.reader(2, 0)}
		h.send(w0, 0, 0, 2)
		if err := w0.Send(context.Background(), 1, h.batch(5, 1)); err == nil {
			h.t.Error("sent to partition 1 alone")
		}
		for _, m := range []shuffle.Manifest{h.finish(w0), h.finish(w1)} {
			for _, p := range m.Partitions {
				if len(m.Partitions) != 3 || p.Rows != uint64(2-2*m.Lane) {
					h.t.Errorf("%v: manifest %+v", retention, m)
				}
			}
		}
		if err := readers[0].Close(); err != nil {
			h.t.Error(err)
		}
		var first *int64
		for _, r := range readers[1:] {
			e, err := next(r)
			if err != nil || e.Kind != stream.DataElement {
				h.t.Fatalf("%v: %v, %v", retention, e.Kind, err)
			}
			ids := e.Batch.Column(0).(*array.Int64).Int64Values()
			if first == nil {
				first = &ids[0]
			}
			if a, ok := h.service.(Apart); &ids[0] != first && !(ok && a.Apart()) {
				h.t.Errorf("%v: readers are given copies", retention)
			}
			h.want([]string{told(e)}, "0+2")
			h.want(h.available(r), "end")
			if err := r.Close(); err != nil {
				h.t.Error(err)
			}
		}
		if err := h.service.Drop(context.Background(), h.job, 1); err != nil {
			h.t.Fatal(err)
		}
	}
}
