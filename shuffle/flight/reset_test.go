package flight_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	tmemory "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Connections that break in the midst of anything are invisible: every row comes once,
// in the order of its lane, with the watermark and the end after all of them.
func TestResetsAreInvisible(t *testing.T) {
	for seed := range uint64(12) {
		for _, retention := range []shuffle.Retention{shuffle.RetainNone, shuffle.RetainJob} {
			t.Run(fmt.Sprint(retention, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					// With the tag invariants its buffers are poisoned once they are freed.
					accounts, err := tmemory.New(tmemory.Options{Limit: 1 << 30})
					if err != nil {
						t.Fatal(err)
					}
					alloc := memory.NewCheckedAllocator(accounts.Child("test", 0).Allocator())
					defer alloc.AssertSize(t, 0)
					breaks := &flaky{random: rand.New(rand.NewPCG(seed, 1)), left: 40}
					c := newCluster(t, options{alloc: alloc, servers: []string{"a", "b", "me"}, dial: breaks.wrap})
					l := ledger{t: t, c: c, alloc: alloc, retention: retention, seed: seed}
					l.run()
					if err := errors.Join(c.Drop(t.Context(), job, 1), c.Close()); err != nil {
						t.Error(err)
					}
					if breaks.broken == 0 {
						t.Error("no connection broke")
					}
				})
			})
		}
	}
}

// flaky breaks connections after some bytes, a limited number of times.
type flaky struct {
	mu     sync.Mutex
	random *rand.Rand
	left   int
	broken int
}

func (f *flaky) wrap(c net.Conn) net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return c
	}
	f.left--
	return &flakyConn{Conn: c, flaky: f, left: 300 + f.random.IntN(30_000)}
}

type flakyConn struct {
	net.Conn
	flaky *flaky
	mu    sync.Mutex
	left  int
}

func (c *flakyConn) spend(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= n; c.left > 0 {
		return nil
	}
	c.flaky.mu.Lock()
	c.flaky.broken++
	c.flaky.mu.Unlock()
	_ = c.Conn.Close()
	return errors.New("the connection broke")
}

func (c *flakyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), 512)])
	if err == nil {
		err = c.spend(n)
	}
	return n, err
}

func (c *flakyConn) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += 512 {
		piece := b[at:min(at+512, len(b))]
		if n, err := c.Conn.Write(piece); err != nil {
			return at + n, err
		}
		if err := c.spend(len(piece)); err != nil {
			return at + len(piece), err
		}
	}
	return len(b), nil
}

var (
	job    = id.Job{9}
	schema = datatype.Schema{{Name: "id", Type: datatype.Of(datatype.BigInt)}, {Name: "s", Type: datatype.Of(datatype.Varchar)}}
)

func rows(alloc memory.Allocator, from int64, n int) *stream.Batch {
	b := array.NewRecordBuilder(alloc, schema.Arrow())
	defer b.Release()
	for i := range int64(n) {
		b.Field(0).(*array.Int64Builder).Append(from + i)
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("row ", from+i))
	}
	return stream.NewBatch(b.NewRecordBatch())
}

// ledger sends numbered rows through an exchange and counts what comes out.
type ledger struct {
	t         *testing.T
	c         *cluster
	alloc     memory.Allocator
	retention shuffle.Retention
	seed      uint64
}

const (
	lanes, partitions = 4, 5
	laneRows          = 3000
)

func (l *ledger) run() {
	spec := shuffle.Spec{
		Job: job, Exchange: 1, Schema: schema, Lanes: lanes, Partitions: partitions, Retention: l.retention, BudgetBytes: 20_000, Term: 1,
	}
	if err := l.c.Open(l.t.Context(), spec); err != nil {
		l.t.Fatal(err)
	}
	manifests := make([]shuffle.Manifest, lanes)
	var work sync.WaitGroup
	for lane := range manifests {
		w, err := l.c.Writer(l.t.Context(), job, 1, uint32(lane), 0)
		if err != nil {
			l.t.Fatal(err)
		}
		work.Go(func() {
			m, err := l.write(w, lane)
			if err = errors.Join(err, w.Close()); err != nil {
				l.t.Error(err)
			}
			manifests[lane] = m
		})
	}
	read := make([]int, partitions)
	for p := range read {
		work.Go(func() {
			n, err := l.read(uint32(p))
			if err != nil {
				l.t.Error(err)
			}
			read[p] = n
		})
	}
	work.Wait()
	for p, n := range read {
		sent := uint64(0)
		for _, m := range manifests {
			if len(m.Partitions) == partitions {
				sent += m.Partitions[p].Rows
			}
		}
		if sent != uint64(n) {
			l.t.Errorf("partition %d: manifests say %d rows, read %d", p, sent, n)
		}
	}
}

// write sends the rows lane<<32, lane<<32+1, ... in batches of random sizes.
func (l *ledger) write(w shuffle.Writer, lane int) (shuffle.Manifest, error) {
	random := rand.New(rand.NewPCG(l.seed, uint64(lane)))
	for sent := 0; sent < laneRows; {
		n := min(1+random.IntN(80), laneRows-sent)
		if err := w.Send(context.Background(), uint32(random.IntN(partitions)), rows(l.alloc, int64(lane)<<32+int64(sent), n)); err != nil {
			return shuffle.Manifest{}, err
		}
		sent += n
	}
	if err := w.Broadcast(context.Background(), stream.Advance(77)); err != nil {
		return shuffle.Manifest{}, err
	}
	return w.Finish(context.Background())
}

func (l *ledger) read(p uint32) (n int, err error) {
	r, err := l.c.Reader(context.Background(), job, 1, p, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	last := make([]int64, lanes)
	told := stream.MinWatermark
	for {
		e, ok, err := r.Poll()
		if err != nil {
			return n, err
		}
		switch {
		case !ok:
			<-r.Ready()
		case e.Kind == stream.DataElement:
			texts := e.Batch.Column(1).(*array.String)
			for i, row := range e.Batch.Column(0).(*array.Int64).Int64Values() {
				if texts.Value(i) != fmt.Sprint("row ", row) {
					return n, fmt.Errorf("row %d came with %q", row, texts.Value(i))
				}
				if lane := row >> 32; row <= last[lane] && row != lane<<32 {
					return n, fmt.Errorf("row %d follows row %d", row, last[lane])
				}
				last[row>>32] = row
				n++
			}
			e.Release()
		case e.Kind == stream.WatermarkElem:
			told = e.Watermark
		case e.Kind == stream.EndOfInput:
			if told != 77 {
				return n, fmt.Errorf("event time ended at %v", told)
			}
			return n, nil
		}
	}
}
