package shuffle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// station is streams that are open, for one batch after another. Whoever opened it
// closes it, and is told of every batch's arrival by the function that open was given.
type station struct {
	// send sends b on stream s.
	send func(s int, b arrow.RecordBatch) error
	// stop ends what runs; it returns what went wrong before.
	stop func() error
	// broken is closed when something runs no more that should: batches may not arrive.
	broken <-chan struct{}
}

// opener opens streams of one kind by one transport.
type opener struct {
	kind      kind
	transport transport
	open      func(ctx context.Context, t transport, streams int, arrived func()) (station, error)
}

// openers lists those of which latency and memory are measured.
func openers() (all []opener) {
	all = append(all, opener{goChannel, inProcess, openChannels})
	for _, t := range []transport{unixSocket, tcpLoopback} {
		all = append(all, opener{opaqueFrames, t, openFrames}, opener{flightExchange, t, openExchanges}, opener{ours, t, openOurs})
	}
	return all
}

// crew is the goroutines of a station, and what they failed with.
type crew struct {
	all    sync.WaitGroup
	broken chan struct{} // closed when one has failed

	mu     sync.Mutex
	failed error
}

func newCrew() *crew { return &crew{broken: make(chan struct{})} }

func (c *crew) run(do func() error) {
	c.all.Go(func() {
		if err := do(); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.failed == nil {
				close(c.broken)
			}
			c.failed = errors.Join(c.failed, err)
		}
	})
}

func (c *crew) wait() error {
	c.all.Wait()
	return c.failed
}

func openChannels(_ context.Context, _ transport, streams int, arrived func()) (station, error) {
	c := newCrew()
	channels := make([]chan arrow.RecordBatch, streams)
	for s := range channels {
		channels[s] = make(chan arrow.RecordBatch)
		c.run(func() error {
			for range channels[s] {
				arrived()
			}
			return nil
		})
	}
	return station{
		send: func(s int, b arrow.RecordBatch) error { channels[s] <- b; return nil },
		stop: func() error {
			for _, ch := range channels {
				close(ch)
			}
			return c.wait()
		},
		broken: c.broken,
	}, nil
}

// openFrames has a connection for each stream. A batch is encoded as it is sent, and
// its body looked at when it arrives, but not decoded.
func openFrames(ctx context.Context, t transport, streams int, arrived func()) (_ station, err error) {
	l, err := t.listen()
	if err != nil {
		return station{}, fmt.Errorf("listen: %w", err)
	}
	c := newCrew()
	writers := make([]*frameWriter, 0, streams)
	stop := func() error {
		for _, w := range writers {
			_ = w.conn.Close()
		}
		return errors.Join(c.wait(), l.Close())
	}
	for range streams {
		far, err := new(net.Dialer).DialContext(ctx, l.Addr().Network(), l.Addr().String())
		if err != nil {
			return station{}, errors.Join(fmt.Errorf("dial: %w", err), stop())
		}
		writers = append(writers, &frameWriter{conn: far})
		near, err := l.Accept()
		if err != nil {
			return station{}, errors.Join(fmt.Errorf("accept: %w", err), stop())
		}
		c.run(func() error {
			defer near.Close()
			var body []byte
			memory := func(n int) []byte {
				if cap(body) < n {
					body = make([]byte, n)
				}
				return body[:n]
			}
			return readFrames(near, memory, func(frame) { arrived() })
		})
	}
	send := func(s int, b arrow.RecordBatch) error {
		body, err := message(b)
		if err != nil {
			return err
		}
		return writers[s].write(frame{rows: uint32(b.NumRows()), body: body})
	}
	return station{send: send, stop: stop, broken: c.broken}, nil
}

// openExchanges has DoExchange streams of one client of a stock server.
func openExchanges(ctx context.Context, t transport, streams int, arrived func()) (station, error) {
	client, broken, shut, err := startStock(t, &stock{arrived: arrived})
	if err != nil {
		return station{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	open := make([]flight.FlightService_DoExchangeClient, 0, streams)
	writers := make([]*flight.Writer, 0, streams)
	stop := func() (err error) {
		defer cancel()
		for i, w := range writers {
			err = errors.Join(err, w.Close(), open[i].CloseSend())
			if _, answered := open[i].Recv(); answered != nil && !errors.Is(answered, io.EOF) {
				err = errors.Join(err, answered)
			}
		}
		return errors.Join(err, shut())
	}
	for range streams {
		stream, err := client.DoExchange(ctx)
		if err != nil {
			return station{}, errors.Join(err, stop())
		}
		open = append(open, stream)
		writers = append(writers, flight.NewRecordWriter(stream, ipc.WithSchema(schema())))
	}
	send := func(s int, b arrow.RecordBatch) error { return writers[s].Write(b) }
	return station{send: send, stop: stop, broken: broken}, nil
}
