package service_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
	"github.com/tidemill/tidemill/shuffle/service"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// producer is a client process of s.
func (s *server) producer() *flight.Service {
	own := local.New(local.Options{Alloc: s.alloc})
	return flight.New(flight.Options{
		Local: own, Alloc: s.alloc, Patience: time.Minute,
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.listen.DialContext(ctx) },
	})
}

// spec is an exchange at s.
func spec(lanes, partitions int, retention shuffle.Retention, budget int64) shuffle.Spec {
	n := partitions
	if retention == shuffle.RetainJob {
		n = lanes
	}
	return shuffle.Spec{
		Job: job, Exchange: 1, Schema: columns, Lanes: lanes, Partitions: partitions, Retention: retention, BudgetBytes: budget, Term: 1,
		Placement: shuffle.Placement{Version: 1, Servers: []shuffle.Server{{ID: "a-1", Address: "a"}}, At: make([]uint32, n)},
	}
}

// next waits for an element.
func next(ctx context.Context, r shuffle.Reader) (stream.Element, error) {
	for {
		if e, ok, err := r.Poll(); ok || err != nil {
			return e, err
		}
		select {
		case <-r.Ready():
		case <-ctx.Done():
			return stream.Element{}, ctx.Err()
		}
	}
}

// A reader that does not read stops its writers, and nothing else: what the server and
// the writers hold for it stays within the budget and what is on its way, however much
// is sent. Then it reads slowly, and everything arrives.
func TestReaderThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget, rowBytes, rows = 64 << 10, 8 << 10, 200
		s := start(t, service.Options{}, local.Options{})
		p := s.producer()
		ctx := t.Context()
		sp := spec(2, 1, shuffle.RetainNone, budget)
		if err := errors.Join(p.Open(ctx, sp), s.store.Open(ctx, sp)); err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int64
		sending := make(chan error, 2)
		for lane := range uint32(2) {
			go func() { sending <- push(ctx, p, s.alloc, lane, rows, rowBytes, &sent) }()
		}
		r, err := s.store.Reader(ctx, job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// Each lane may have its part of the budget on its way once more, and a batch in hand.
		if got, most := s.alloc.CurrentAlloc(), 4*budget; sent.Load() == 2*rows || got > most {
			t.Errorf("%d of %d batches sent, %d bytes held, want at most %d", sent.Load(), 2*rows, got, most)
		}
		got := 0
		for {
			e, err := next(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == stream.EndOfInput {
				break
			}
			got += e.Batch.Len()
			e.Release()
			time.Sleep(time.Millisecond)
			if held, most := s.alloc.CurrentAlloc(), 4*budget; held > most {
				t.Fatalf("%d bytes held, want at most %d", held, most)
			}
		}
		if got != 2*rows {
			t.Errorf("%d rows arrived of %d", got, 2*rows)
		}
		if err := errors.Join(<-sending, <-sending, r.Close(), p.Close()); err != nil {
			t.Error(err)
		}
		s.stop()
	})
}

// push sends batches of one row of that size to partition 0 and ends the lane.
func push(ctx context.Context, p shuffle.Service, alloc memory.Allocator, lane uint32, rows, rowBytes int, sent *atomic.Int64) error {
	w, err := p.Writer(ctx, job, 1, lane, 0)
	if err != nil {
		return err
	}
	defer w.Close()
	text := strings.Repeat("x", rowBytes)
	for i := range rows {
		if err := w.Send(ctx, 0, batch(alloc, int64(i), text)); err != nil {
			return err
		}
		sent.Add(1)
	}
	_, err = w.Finish(ctx)
	return err
}

// A writer that vanishes in the midst of its lane is waited for, for the grace, then its
// session is over and its memory comes back. What it had sent was read; the lane does
// not end. Its next attempt is refused: rows of it were read.
func TestWriterThatVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, service.Options{Grace: time.Minute}, local.Options{})
		p := s.producer()
		ctx := t.Context()
		sp := spec(1, 1, shuffle.RetainNone, 0)
		if err := errors.Join(p.Open(ctx, sp), s.store.Open(ctx, sp)); err != nil {
			t.Fatal(err)
		}
		cut, cancel := context.WithCancel(ctx)
		c := s.client(cut)
		c.send(opening(t, func(x *wire.Open) { x.Exchange = wire.FromSpec(sp, "a-1") }))
		c.send(data(t, s.alloc, 1, 0))
		c.send(data(t, s.alloc, 2, 0))
		r, err := s.store.Reader(ctx, job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			e, err := next(ctx, r)
			if err != nil || e.Kind != stream.DataElement {
				t.Fatal(e.Kind, err)
			}
			e.Release()
		}
		cancel()
		synctest.Wait()
		if st := s.Stats(); st.Writers != 1 {
			t.Errorf("it may come again, but %+v", st)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if st := s.Stats(); st.Writers != 0 {
			t.Errorf("it is given up, but %+v", st)
		}
		if e, ok, err := r.Poll(); ok || err != nil {
			t.Errorf("the lane has %v, %v", e.Kind, err)
		}
		if _, err := p.Writer(ctx, job, 1, 0, 1); err == nil {
			t.Error("another attempt of a lane of which rows were read")
		}
		if err := errors.Join(r.Close(), p.Close()); err != nil {
			t.Error(err)
		}
		s.stop()
	})
}

// A reader that vanishes gives back what was kept for it to say that it has it.
func TestReaderThatVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, service.Options{Grace: time.Minute}, local.Options{})
		p := s.producer()
		ctx := t.Context()
		if err := p.Open(ctx, spec(1, 1, shuffle.RetainJob, 0)); err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int64
		if err := push(ctx, p, s.alloc, 0, 10, 100, &sent); err != nil {
			t.Fatal(err)
		}
		cut, cancel := context.WithCancel(ctx)
		c := s.client(cut)
		c.send(opening(t, func(x *wire.Open) {
			x.Exchange, x.Read, x.Session = wire.FromSpec(spec(1, 1, shuffle.RetainJob, 0), "a-1"), true, 5
			x.Lanes = []byte{1}
		}))
		synctest.Wait()
		cancel()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if st := s.Stats(); st.Readers != 0 || st.Exchanges != 1 {
			t.Errorf("%+v", st)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		s.stop()
	})
}

// A sender that keeps to the exchange's schema in its checksums but not in its rows: the
// server hands on what it does not look at, and the reader is told what is wrong.
func TestSchemaChangesMidStream(t *testing.T) {
	s := start(t, service.Options{}, local.Options{})
	defer s.stop()
	ctx := t.Context()
	sp := spec(1, 1, shuffle.RetainNone, 0)
	if err := s.store.Open(ctx, sp); err != nil {
		t.Fatal(err)
	}
	c := s.client(ctx)
	c.send(opening(t, func(x *wire.Open) { x.Exchange = wire.FromSpec(sp, "a-1") }))
	c.send(data(t, s.alloc, 1, 0))
	swapped := batch(s.alloc, 2, "x")
	turned := datatype.Schema{columns[1], columns[0]}.Arrow()
	swapped = swapped.WithRecord(array.NewRecordBatch(turned, []arrow.Array{swapped.Column(1), swapped.Column(0)}, 1))
	m, err := wire.Encode(s.alloc, turned, wire.Header{Seq: 2}, swapped)
	if err != nil {
		t.Fatal(err)
	}
	c.send(m)
	r, err := s.store.Reader(ctx, job, 1, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	e, err := next(ctx, r)
	if err != nil || e.Batch.Len() != 1 {
		t.Fatal(e.Kind, err)
	}
	e.Release()
	if e, err = next(ctx, r); !errors.Is(err, wire.ErrMalformed) || failure.Of(err) != failure.BadData {
		t.Errorf("rows of another schema: %v, %v", e.Kind, err)
	}
}

// A full disk fails the attempt that writes, by name; who fits is served, before and
// after.
func TestFullDisk(t *testing.T) {
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	tier := partition.NewTier(partition.TierOptions{MemoryBytes: 1 << 10, Dir: dir, QuotaBytes: 128 << 10})
	s := start(t, service.Options{}, local.Options{Tier: tier})
	p := s.producer()
	ctx := t.Context()
	small, large := spec(2, 1, shuffle.RetainJob, 0), spec(1, 1, shuffle.RetainJob, 0)
	large.Exchange = 2
	if err := errors.Join(p.Open(ctx, small), p.Open(ctx, large)); err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	if err := push(ctx, p, s.alloc, 0, 4, 8<<10, &sent); err != nil {
		t.Fatal(err)
	}
	w, err := p.Writer(ctx, job, 2, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 8<<10)
	for i := 0; err == nil && i < 1000; i++ {
		err = w.Send(ctx, 0, batch(s.alloc, int64(i), text))
	}
	if err == nil { // all of it is on its way
		_, err = w.Finish(ctx)
	}
	if err == nil || !strings.Contains(err.Error(), "quota") {
		t.Errorf("8 MB on a disk of 128 KiB: %v", err)
	}
	if err := errors.Join(w.Close(), s.DropJob(ctx, job, []id.Exchange{2}, 1)); err != nil {
		t.Error(err)
	}
	if err := push(ctx, p, s.alloc, 1, 4, 8<<10, &sent); err != nil {
		t.Errorf("after the large one has gone: %v", err)
	}
	r, err := p.Reader(ctx, job, 1, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for {
		e, err := next(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == stream.EndOfInput {
			break
		}
		if e.Batch != nil {
			rows += e.Batch.Len()
		}
		e.Release()
	}
	if rows != 8 {
		t.Errorf("%d rows of 8", rows)
	}
	if err := errors.Join(r.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	s.stop()
	if files, err := os.ReadDir(dir.Name()); err != nil || len(files) != 0 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
}

// A text of 100 MiB goes through TCP, is kept and read again.
func TestLargeRow(t *testing.T) {
	s := start(t, service.Options{}, local.Options{Tier: partition.NewTier(partition.TierOptions{MemoryBytes: 1 << 30})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp := grpc.NewServer(s.ServerOptions()...)
	s.Register(tcp)
	served := make(chan error, 1)
	go func() { served <- tcp.Serve(s.Listener(l, service.DoorOptions{})) }()
	own := local.New(local.Options{Alloc: s.alloc})
	p := flight.New(flight.Options{Local: own, Alloc: s.alloc})
	ctx := t.Context()
	sp := spec(1, 1, shuffle.RetainJob, 0)
	sp.Placement.Servers[0].Address = l.Addr().String()
	if err := p.Open(ctx, sp); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("tide and mill 16", 100<<20/16)
	w, err := p.Writer(ctx, job, 1, 0, 0)
	if err == nil {
		err = w.Send(ctx, 0, batch(s.alloc, 1, text, "short"))
	}
	if err == nil {
		_, err = w.Finish(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Reader(ctx, job, 1, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	e, err := next(ctx, r)
	if err != nil || e.Batch == nil {
		t.Fatal(e.Kind, err)
	}
	got := e.Batch.Column(1).(*array.String)
	if sha256.Sum256([]byte(got.Value(0))) != sha256.Sum256([]byte(text)) || got.Value(1) != "short" {
		t.Errorf("%d bytes came back, %q", len(got.Value(0)), got.Value(1))
	}
	e.Release()
	if err := errors.Join(r.Close(), w.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	s.stop()
	tcp.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
