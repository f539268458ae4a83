package flight_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
)

// handing returns the exchanges of server a, which hands its lanes over.
func handing(t *testing.T, c *cluster) *flight.Service {
	t.Helper()
	a := flight.New(flight.Options{
		Self: shuffle.Server{ID: "a"}, Local: c.servers["a"].local, Alloc: c.alloc, Dialer: c.connect,
	})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func at(name string) shuffle.Placement {
	return shuffle.Placement{Version: 2, Servers: []shuffle.Server{{ID: name, Address: name}}}
}

// A lane that is handed over is the same at the other server, whatever sort of exchange it
// is of and however often connections break, and is read there under its new placement.
func TestHandOver(t *testing.T) {
	for name, change := range map[string]func(*shuffle.Spec){
		"hash": func(*shuffle.Spec) {}, "paired": func(s *shuffle.Spec) { s.Paired = true }, "everywhere": func(s *shuffle.Spec) { s.Everywhere = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
				defer alloc.AssertSize(t, 0)
				breaks := &flaky{random: rand.New(rand.NewPCG(1, 2)), left: 6}
				c := newCluster(t, options{alloc: alloc, servers: []string{"a", "b"}, dial: breaks.wrap})
				x := spec(shuffle.RetainJob, 3, 3)
				change(&x)
				if err := c.Open(t.Context(), x); err != nil {
					t.Fatal(err)
				}
				written := writeLanes(t, c, x)
				a := handing(t, c)
				for lane := uint32(0); lane < 3; lane += 2 { // the others are at b
					m, err := a.HandOver(t.Context(), job, 1, lane, 4, at("b"))
					if err != nil || !reflect.DeepEqual(m, written[lane]) {
						t.Fatalf("%+v, %v\nwritten: %+v", m, err, written[lane])
					}
				}
				if have := c.servers["b"].local.Manifests(job, 1); !reflect.DeepEqual(have, written) {
					t.Errorf("held:    %+v\nwritten: %+v", have, written)
				}
				x.Placement = at("b")
				x.Placement.At = make([]uint32, 3)
				if err := errors.Join(c.servers["a"].local.Drop(t.Context(), job, 1), c.Service.Open(t.Context(), x)); err != nil {
					t.Fatal(err)
				}
				for part := range uint32(3) {
					if n, w := readAll(t, c, part); n != rowsOf(written, part) || w != 77 {
						t.Errorf("partition %d: %d rows to watermark %v, written were %d", part, n, w, rowsOf(written, part))
					}
				}
				if err := errors.Join(a.Close(), c.Drop(t.Context(), job, 1), c.Close()); err != nil {
					t.Error(err)
				}
				if breaks.broken == 0 {
					t.Error("no connection broke")
				}
			})
		})
	}
}

// writeLanes writes three lanes as attempt 4, of many blocks, to the watermark 77.
func writeLanes(t *testing.T, c *cluster, x shuffle.Spec) (out []shuffle.Manifest) {
	t.Helper()
	for lane := range uint32(3) {
		w, err := c.Writer(t.Context(), job, 1, lane, 4)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			part := uint32(i % 3)
			switch {
			case x.Paired:
				part = lane
			case x.Everywhere:
				part = 0
			}
			if err := w.Send(t.Context(), part, rows(c.alloc, int64(1000*i), 50+int(lane))); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Broadcast(t.Context(), stream.Advance(stream.Watermark(77+lane))); err != nil {
			t.Fatal(err)
		}
		m, err := w.Finish(t.Context())
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func rowsOf(lanes []shuffle.Manifest, part uint32) (n int) {
	for _, m := range lanes {
		n += int(m.Partitions[part].Rows)
	}
	return n
}

func readAll(t *testing.T, c *cluster, part uint32) (rows int, w stream.Watermark) {
	t.Helper()
	r, err := c.Reader(t.Context(), job, 1, part, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := next(r)
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Kind == stream.EndOfInput:
			if w > 77 { // a paired one has a lane of its own
				w = 77
			}
			return rows, w
		case e.Kind == stream.WatermarkElem:
			w = e.Watermark
		default:
			rows += e.Batch.Len()
			e.Release()
		}
	}
}

// What cannot be handed over stays where it is, and the error says why.
func TestHandOverFails(t *testing.T) {
	bubble(t, options{servers: []string{"a", "b"}}, func(t *testing.T, c *cluster) {
		written(t, c)
		a := handing(t, c)
		give := func(ctx context.Context, lane, attempt uint32, to shuffle.Placement) error {
			_, err := a.HandOver(ctx, job, 1, lane, attempt, to)
			return err
		}
		if err := give(t.Context(), 1, 0, at("b")); !errors.Is(err, shuffle.ErrDataLoss) {
			t.Errorf("a lane that is not here: %v", err)
		}
		if err := give(t.Context(), 0, 1, at("b")); failure.Of(err) != failure.LostPartition {
			t.Errorf("an attempt that has not won: %v", err)
		}
		if err := give(t.Context(), 0, 0, at("nobody")); failure.Of(err) != failure.Transient {
			t.Errorf("to nobody: %v", err)
		}
		if err := give(t.Context(), 0, 0, shuffle.Placement{}); failure.Of(err) != failure.Internal {
			t.Errorf("to no server: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := give(ctx, 0, 0, at("b")); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		synctest.Wait() // the server knows that nobody wants that any more
		for range 2 {   // again, after the lane was dropped there
			if err := give(t.Context(), 0, 0, at("b")); err != nil {
				t.Fatal(err)
			}
			if err := give(t.Context(), 0, 0, at("b")); !errors.Is(err, shuffle.ErrLostRace) {
				t.Errorf("twice: %v", err)
			}
			if err := c.servers["b"].local.DropLanes(job, 1, []uint32{0}, 1<<60); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.servers["b"].local.DropLanes(job, 1, []uint32{7}, 1<<60); failure.Of(err) != failure.Usage {
			t.Errorf("a lane that there is not: %v", err)
		}
		if n, _ := readAll(t, c, 0); n != 4 {
			t.Errorf("%d rows", n)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}
