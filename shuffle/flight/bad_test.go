package flight_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/service"
)

// What is refused, lost, too large or gone is said so by name, and nothing stays behind.

// bubble runs a test in fake time with an allocator that is empty in the end.
func bubble(t *testing.T, o options, run func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer alloc.AssertSize(t, 0)
		o.alloc = alloc
		c := newCluster(t, o)
		run(t, c)
		if err := errors.Join(c.Drop(t.Context(), job, 1), c.Close()); err != nil {
			t.Error(err)
		}
	})
}

func spec(r shuffle.Retention, lanes, partitions int) shuffle.Spec {
	return shuffle.Spec{Job: job, Exchange: 1, Schema: schema, Lanes: lanes, Partitions: partitions, Retention: r, Term: 3}
}

func TestTickets(t *testing.T) {
	key, now := security.NewKey(), time.Now()
	good := security.Ticket{Rights: security.Read | security.Write, Job: job, Exchange: 1, Term: 3, Expiry: now.Add(time.Hour)}
	with := func(change func(*security.Ticket)) []byte {
		t := good
		change(&t)
		return t.Sign(key)
	}
	for _, c := range []struct {
		what   string
		ticket []byte
		says   string
	}{
		{"none", nil, "0 bytes"},
		{"forged", good.Sign(security.NewKey()), "not signed by this cluster"},
		{"expired", with(func(t *security.Ticket) { t.Expiry = now.Add(-time.Hour) }), "expired"},
		{"of another job", with(func(t *security.Ticket) { t.Job = id.Job{1} }), "is for job"},
		{"of another exchange", with(func(t *security.Ticket) { t.Exchange = 2 }), "is for exchange 2"},
		{"of another term", with(func(t *security.Ticket) { t.Term = 2 }), "of term 2"},
		{"without rights", with(func(t *security.Ticket) { t.Rights = security.Drop }), "gives drop"},
		{"oversized", make([]byte, 1<<16), "65536 bytes"},
		{"good", good.Sign(key), ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := options{servers: []string{"a"}, service: service.Options{TicketKey: func() []byte { return key }, Now: func() time.Time { return now }}}
			bubble(t, o, func(t *testing.T, cl *cluster) {
				for _, r := range []shuffle.Retention{shuffle.RetainNone, shuffle.RetainJob} {
					s := spec(r, 1, 1)
					s.Placement.Ticket = c.ticket
					if err := cl.Open(t.Context(), s); err != nil {
						t.Fatal(err)
					}
					w, err := cl.Writer(t.Context(), job, 1, 0, 0)
					check(t, err, c.says)
					if err == nil {
						defer w.Close()
					}
					rd, err := cl.Reader(t.Context(), job, 1, 0, 0)
					check(t, err, c.says)
					if err == nil {
						defer rd.Close()
					}
					if err := cl.Drop(t.Context(), job, 1); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

func check(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Error(err)
	case says != "" && (err == nil || !strings.Contains(err.Error(), says) || failure.Of(err) != failure.Unauthorized):
		t.Errorf("have %v, want %q", err, says)
	}
}

// A row of 100 MiB passes: it is larger than every window, credit and buffer.
func TestHugeRow(t *testing.T) {
	bubble(t, options{servers: []string{"a"}}, func(t *testing.T, c *cluster) {
		if err := c.Open(t.Context(), spec(shuffle.RetainNone, 1, 1)); err != nil {
			t.Fatal(err)
		}
		w, err := c.Writer(t.Context(), job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		huge := strings.Repeat("0123456789abcdef", 100<<16)
		b := array.NewRecordBuilder(c.alloc, schema.Arrow())
		b.Field(0).(*array.Int64Builder).Append(1)
		b.Field(1).(*array.StringBuilder).Append(huge)
		record := b.NewRecordBatch()
		b.Release()
		if err := w.Send(t.Context(), 0, stream.NewBatch(record)); err != nil {
			t.Fatal(err)
		}
		r, err := c.Reader(t.Context(), job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		e, err := next(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Batch.Column(1).(*array.String).Value(0); got != huge {
			t.Errorf("%d bytes came", len(got))
		}
		e.Release()
	})
}

func next(r shuffle.Reader) (stream.Element, error) {
	for {
		if e, ok, err := r.Poll(); ok || err != nil {
			return e, err
		}
		<-r.Ready()
	}
}

// written stores two rows of each of two lanes, at the servers a and b.
func written(t *testing.T, c *cluster) {
	t.Helper()
	if _, open := c.local.Spec(job, 1); !open {
		if err := c.Open(t.Context(), spec(shuffle.RetainJob, 2, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for lane := range uint32(2) {
		w, err := c.Writer(t.Context(), job, 1, lane, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Send(t.Context(), 0, rows(c.alloc, int64(lane), 2)); err != nil {
			t.Fatal(err)
		}
		m, err := w.Finish(t.Context())
		if err != nil || m.Partitions[0].Rows != 2 || m.Partitions[0].Digest == 0 {
			t.Fatalf("%+v, %v", m, err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A server that is gone, or is another life of it, has lost its lanes: that is
// ErrDataLoss of class LostPartition, never the end of input.
func TestLostServer(t *testing.T) {
	for _, again := range []bool{false, true} {
		bubble(t, options{servers: []string{"a", "b"}}, func(t *testing.T, c *cluster) {
			written(t, c)
			r, err := c.Reader(t.Context(), job, 1, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			e, err := next(r)
			if err != nil {
				t.Fatal(err)
			}
			e.Release()
			b := c.servers["b"]
			if err := errors.Join(b.service.DropJob(t.Context(), job, nil, 9), b.stop()); err != nil {
				t.Fatal(err)
			}
			c.gone("b")
			if again {
				c.another("b", options{alloc: c.alloc})
			}
			begin := time.Now()
			if _, err := next(r); !errors.Is(err, shuffle.ErrDataLoss) || failure.Of(err) != failure.LostPartition {
				t.Errorf("have %v", err)
			}
			if took := time.Since(begin); took > 2*flight.DefaultPatience || again && took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// To a writer the same is no loss: its attempt may write elsewhere.
func TestWriterOfLostServer(t *testing.T) {
	bubble(t, options{servers: []string{"a"}}, func(t *testing.T, c *cluster) {
		if err := c.Open(t.Context(), spec(shuffle.RetainJob, 1, 1)); err != nil {
			t.Fatal(err)
		}
		w, err := c.Writer(t.Context(), job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := c.servers["a"].stop(); err != nil {
			t.Fatal(err)
		}
		c.another("a", options{alloc: c.alloc})
		// It is told when the server closes, or else by the next one.
		_, err = w.Finish(t.Context())
		told := strings.Contains(fmt.Sprint(err), "server a is gone") || strings.Contains(fmt.Sprint(err), "server is closing")
		if failure.Of(err) != failure.Transient || !told {
			t.Errorf("have %v", err)
		}
	})
}

// A job that is over is not opened again by whoever comes late.
func TestJobIsOver(t *testing.T) {
	bubble(t, options{servers: []string{"a"}}, func(t *testing.T, c *cluster) {
		written(t, c)
		if jobs := c.servers["a"].service.Jobs(); len(jobs) != 1 || jobs[0] != job {
			t.Errorf("keeps %v", jobs)
		}
		if err := c.servers["a"].service.DropJob(t.Context(), job, nil, 3); err != nil {
			t.Fatal(err)
		}
		if jobs := c.servers["a"].service.Jobs(); len(jobs) != 0 {
			t.Errorf("keeps %v", jobs)
		}
		if _, err := c.Writer(t.Context(), job, 1, 0, 1); !errors.Is(err, shuffle.ErrReleased) {
			t.Errorf("have %v", err)
		}
		later := spec(shuffle.RetainJob, 2, 1)
		later.Term = 4 // a new leader runs it again
		if err := c.Open(t.Context(), later); err != nil {
			t.Fatal(err)
		}
		w, err := c.Writer(t.Context(), job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A server that drains takes lanes that were placed there before; one that has drained takes
// none. Both are read as before.
func TestDrain(t *testing.T) {
	bubble(t, options{servers: []string{"a"}}, func(t *testing.T, c *cluster) {
		written(t, c)
		c.servers["a"].service.Drain()
		if st := c.servers["a"].service.Stats(); !st.Draining || st.Exchanges != 1 || st.BytesIn == 0 || st.MemoryBytes == 0 {
			t.Errorf("%+v", st)
		}
		w, err := c.Writer(t.Context(), job, 1, 0, 1)
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Error(err)
		}
		c.servers["a"].service.Retire()
		if _, err := c.Writer(t.Context(), job, 1, 0, 2); failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "drained") {
			t.Errorf("have %v", err)
		}
		r, err := c.Reader(t.Context(), job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 2 {
			e, err := next(r)
			if err != nil || e.Kind != stream.DataElement {
				t.Fatalf("%v, %v", e.Kind, err)
			}
			e.Release()
		}
		if e, err := next(r); err != nil || e.Kind != stream.EndOfInput {
			t.Errorf("%v, %v", e.Kind, err)
		}
	})
}

// A writer whose server does not come back fails after its patience, and a call's
// context ends waiting sooner.
func TestNobodyThere(t *testing.T) {
	bubble(t, options{servers: []string{"a"}}, func(t *testing.T, c *cluster) {
		if err := c.Open(t.Context(), spec(shuffle.RetainNone, 1, 1)); err != nil {
			t.Fatal(err)
		}
		a := c.servers["a"]
		c.gone("a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Writer(ctx, job, 1, 0, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("have %v", err)
		}
		if _, err := c.Writer(t.Context(), job, 1, 0, 0); failure.Of(err) != failure.Transient {
			t.Errorf("have %v", err)
		}
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A session whose client does not come back ends after the grace, with what it wrote.
func TestGrace(t *testing.T) {
	bubble(t, options{servers: []string{"a"}}, func(t *testing.T, c *cluster) {
		if err := c.Open(t.Context(), spec(shuffle.RetainJob, 1, 1)); err != nil {
			t.Fatal(err)
		}
		w, err := c.Writer(t.Context(), job, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Send(t.Context(), 0, rows(c.alloc, 0, 3)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := c.Service.Close(); err != nil { // as if the process died
			t.Fatal(err)
		}
		time.Sleep(service.DefaultGrace / 2)
		if st := c.servers["a"].service.Stats(); st.Writers != 1 || st.MemoryBytes == 0 {
			t.Errorf("%+v", st)
		}
		time.Sleep(service.DefaultGrace)
		if st := c.servers["a"].service.Stats(); st.Writers != 0 || st.MemoryBytes != 0 {
			t.Errorf("%+v", st)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}
