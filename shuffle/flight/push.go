package flight

import (
	"context"
	"sync"

	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// push is a lane's way to one server: messages in order, kept until the server has
// taken them, and credit for each partition there.
type push struct {
	session *session
	changed chan struct{} // of the one goroutine that waits for credit or the end

	mu       sync.Mutex
	queue    []*wire.Message // that the server has not taken
	sent     int             // of them, on this stream
	bytes    int64           // of them
	seq      uint64          // of the last one
	window   int64           // of each partition; zero: it takes everything
	parts    map[uint32]*credit
	manifest *wire.Manifest
	err      error
}

// credit is what went to a partition, and what has been read of it since the first
// stream.
type credit struct{ sent, given int64 }

// maxUntaken bounds what a push keeps until the server has it, unless one message is
// more.
const maxUntaken = 16 << 20

func (s *Service) newPush(server shuffle.Server, open *wire.Open) *push {
	p := &push{changed: make(chan struct{}, 1), parts: map[uint32]*credit{}}
	p.session = s.start(server, open, p)
	return p
}

// begin implements end.
func (p *push) begin(x *wire.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window, p.sent = x.GetWindow(), 0
	p.progress(x)
}

// next implements end.
func (p *push) next() *wire.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent == len(p.queue) {
		return nil
	}
	m := p.queue[p.sent]
	p.sent++
	m.Retain()
	return m
}

// take implements end.
func (p *push) take(m *wire.Message) (done bool, err error) {
	defer m.Release()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m.Kind {
	case wire.KindProgress:
		var x wire.Progress
		if err := m.Content(&x); err != nil {
			return false, err
		}
		p.progress(&x)
	case wire.KindDone:
		p.manifest = &wire.Manifest{}
		if err := m.Content(p.manifest); err != nil {
			return false, err
		}
		p.forget(p.seq)
	}
	signal(p.changed)
	return false, nil
}

// progress takes note of what the server has taken and what was read of it.
func (p *push) progress(x *wire.Progress) {
	p.forget(x.GetSeq())
	for _, t := range x.GetTaken() {
		if c := p.parts[t.GetPartition()]; c != nil {
			c.given = t.GetBytes()
		}
	}
	signal(p.changed)
}

// forget releases the messages up to seq.
func (p *push) forget(seq uint64) {
	for len(p.queue) > 0 && p.queue[0].Seq <= seq {
		p.bytes -= int64(p.queue[0].Bytes())
		p.queue[0].Release()
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.sent = max(p.sent-1, 0)
	}
}

// position implements end.
func (p *push) position() uint64 { return 0 }

// passed implements end.
func (p *push) passed() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seq - uint64(len(p.queue))
}

// ended implements end.
func (p *push) ended(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	p.forget(p.seq)
	signal(p.changed)
}

// send queues a message, once there is credit for it. It owns m.
func (p *push) send(ctx context.Context, w *local.Waiting, m *wire.Message) error {
	for {
		wait, err := p.offer(m)
		if err == nil && wait {
			if err = w.Await(ctx, p.changed); err == nil {
				continue
			}
		}
		if err != nil {
			m.Release()
		}
		return err
	}
}

// offer queues a message if there is credit for it.
func (p *push) offer(m *wire.Message) (wait bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return false, p.err
	}
	if m.Kind == wire.KindData {
		if p.bytes > 0 && p.bytes+int64(m.Bytes()) > maxUntaken {
			return true, nil
		}
		c := p.parts[m.Partition]
		if c == nil {
			c = &credit{}
			p.parts[m.Partition] = c
		}
		if out := c.sent - c.given; p.window > 0 && out > 0 && out+m.Value > p.window {
			return true, nil
		}
		c.sent += m.Value
	}
	p.seq++
	m.Seq = p.seq
	p.queue = append(p.queue, m)
	p.bytes += int64(m.Bytes())
	p.session.wake()
	return false, nil
}

// finished waits for the manifest.
func (p *push) finished(ctx context.Context) (*wire.Manifest, error) {
	for {
		p.mu.Lock()
		manifest, err := p.manifest, p.err
		p.mu.Unlock()
		if manifest != nil || err != nil {
			return manifest, err
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// close gives up what was not finished. It does not wait.
func (p *push) close() {
	p.session.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(p.seq)
}
