package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// pushing is a session of a writer elsewhere: what arrives goes into a lane of the
// store, in order of seq.
type pushing struct {
	open    *wire.Open
	schema  *arrow.Schema
	writer  shuffle.Writer
	watched local.Watched
	changed chan struct{} // progress has something to tell

	mu       sync.Mutex
	seq      uint64           // the last message that was taken
	told     uint64           // the last one that the client was told of
	untold   int64            // bytes of those since
	given    map[uint32]int64 // by partition that was sent to: what the client knows of
	manifest *wire.Manifest   // nil: the lane has not ended
	closed   bool             // by the client
	err      error            // why nothing more is taken
}

func newPushing(_ *Server, spec shuffle.Spec, open *wire.Open, w shuffle.Writer) *pushing {
	p := &pushing{
		open: open, schema: spec.Schema.Arrow(), writer: w, watched: w.(local.Watched),
		changed: make(chan struct{}, 1), given: map[uint32]int64{},
	}
	p.watched.Watch(p.changed)
	return p
}

func (p *pushing) close() error { return p.writer.Close() }

// carry implements end.
func (p *pushing) carry(s *session, st *carrier) (over bool, err error) {
	if err := st.control(wire.Header{Kind: wire.KindProgress}, p.resume()); err != nil {
		return false, nil
	}
	st.receive(func(m *wire.Message) error { return p.take(s.ctx, m) })
	defer st.cancel() // before serve waits for what is being taken
	short := newsPause
	if window := p.watched.Window(); window > 0 && window < newsBytes {
		short /= 5 // it waits soon
	}
	pause := time.NewTimer(short)
	defer pause.Stop()
	for pausing, now := true, true; ; {
		if now {
			progress, manifest, err := p.news()
			switch {
			case errors.Is(err, io.EOF):
				return true, nil
			case err != nil:
				return true, err
			case progress != nil:
				if st.control(wire.Header{Kind: wire.KindProgress}, progress) != nil {
					return false, nil
				}
				continue
			case manifest != nil:
				if st.control(wire.Header{Kind: wire.KindDone}, manifest) != nil {
					return false, nil
				}
				// The client has what it wanted; it closes when it knows.
				<-st.ctx.Done()
				if _, _, err = p.news(); errors.Is(err, io.EOF) {
					return true, nil
				}
				return err != nil, err
			}
		}
		select {
		case <-p.changed:
			if now = p.urgent(); !now && !pausing {
				pause.Reset(short)
				pausing = true
			}
		case <-pause.C:
			pausing, now = false, true
		case <-st.ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.closed || p.err != nil, p.err
		}
	}
}

// A client is told of progress when there is much of it, or some time after there was
// some: a message back for each one that comes takes half as long as that one.
const (
	newsPause = time.Millisecond
	newsBytes = 1 << 20
)

// urgent reports whether the client has to know at once: it is over, or much was taken.
func (p *pushing) urgent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	much := int64(newsBytes)
	if window := p.watched.Window(); window > 0 {
		much = min(much, window/4)
	}
	return p.closed || p.err != nil || p.manifest != nil || p.untold >= much
}

// resume is the first answer to a stream: everything that a client may not know.
func (p *pushing) resume() *wire.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := &wire.Progress{Seq: p.seq, Window: p.watched.Window()}
	for part, bytes := range p.given {
		x.Taken = append(x.Taken, &wire.Taken{Partition: part, Bytes: bytes})
	}
	p.told, p.untold = p.seq, 0
	return x
}

// news is what the client has not been told: progress, or else the manifest; or why the
// session is over, io.EOF if the client closed it.
func (p *pushing) news() (*wire.Progress, *wire.Manifest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, nil, io.EOF
	case p.err != nil:
		return nil, nil, p.err
	case p.manifest != nil:
		return nil, p.manifest, nil
	}
	if err := p.watched.Err(); err != nil {
		return nil, nil, err
	}
	x := &wire.Progress{Seq: p.seq}
	for part, last := range p.given {
		if now := p.watched.Given(part); now != last {
			p.given[part] = now
			x.Taken = append(x.Taken, &wire.Taken{Partition: part, Bytes: now})
		}
	}
	if x.Seq == p.told && len(x.Taken) == 0 {
		return nil, nil, nil
	}
	p.told, p.untold = x.Seq, 0
	return x, nil, nil
}

// take puts a message into the lane. It owns m.
func (p *pushing) take(ctx context.Context, m *wire.Message) error {
	err := p.put(ctx, m)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.err == nil {
		p.err = err
	}
	signal(p.changed)
	return err
}

func (p *pushing) put(ctx context.Context, m *wire.Message) error {
	h := m.Header
	p.mu.Lock()
	seq, ended := p.seq, p.manifest != nil
	if h.Kind == wire.KindData {
		if _, known := p.given[h.Partition]; !known {
			p.given[h.Partition] = 0
		}
	}
	p.closed = p.closed || h.Kind == wire.KindClose
	p.mu.Unlock()
	switch {
	case h.Kind == wire.KindClose:
		m.Release()
		return io.EOF
	case h.Seq <= seq: // a stream before this one brought it
		m.Release()
		return nil
	case h.Seq != seq+1 || ended:
		m.Release()
		return failure.Errorf(failure.Internal, "%s: message %d follows message %d", p.open.Summary(), h.Seq, seq)
	}
	bytes := int64(m.Bytes())
	manifest, err := p.apply(ctx, m)
	if err != nil {
		return err
	}
	if err := failpoint.Hit(failpoint.ShuffleBlock); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq, p.manifest, p.untold = h.Seq, manifest, p.untold+bytes
	return nil
}

// apply does what a message says. It owns m.
func (p *pushing) apply(ctx context.Context, m *wire.Message) (*wire.Manifest, error) {
	switch m.Kind {
	case wire.KindData:
		b, err := wire.Batch(p.schema, m)
		if err != nil {
			return nil, failure.Wrap(failure.BadData, fmt.Errorf("%s: %w", p.open.Summary(), err))
		}
		return nil, p.writer.Send(ctx, m.Partition, b)
	case wire.KindEndOfLane:
		m.Release()
		manifest, err := p.writer.Finish(ctx)
		if err != nil {
			return nil, err
		}
		return wire.FromManifest(manifest), nil
	default:
		defer m.Release()
		e, ok := m.Element()
		if !ok {
			return nil, failure.Errorf(failure.BadData, "%s: %w: %v from a writer", p.open.Summary(), wire.ErrMalformed, m.Kind)
		}
		return nil, p.writer.Broadcast(ctx, e)
	}
}
