package raftstore

import (
	"context"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

func errClosed() error { return failure.Wrap(failure.Cancelled, raftmeta.ErrClosed) }

// watcher is a bounded queue between the machine and one consumer. machine.mu
// may be held when mu is taken, never the other way round.
type watcher struct {
	m      *machine
	bucket raftmeta.Bucket
	prefix string
	limit  int
	wake   chan struct{} // holds one token when Next has something to look at

	mu     sync.Mutex
	events []raftmeta.Event
	lost   raftmeta.Revision // not zero: everything up to here is lost, and the consumer was not told
	err    error             // why no more events come
}

// watch registers a watcher for what is later than after.
func (m *machine) watch(b raftmeta.Bucket, prefix string, after raftmeta.Revision, limit int) (*watcher, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(); err != nil {
		return nil, err
	}
	w := &watcher{m: m, bucket: b, prefix: prefix, limit: limit, wake: make(chan struct{}, 1)}
	if after < m.forgotten {
		w.lose(m.revision)
	} else {
		start := 0
		for start < len(m.history) && m.history[start].Entry.Revision <= after {
			start++
		}
		w.offer(m.history[start:])
	}
	m.watchers[w] = struct{}{}
	return w, nil
}

// offer queues the events that the watcher wants; without room for them it
// drops the whole queue and remembers that.
func (w *watcher) offer(events []raftmeta.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		switch {
		case w.err != nil || e.Entry.Bucket != w.bucket || !strings.HasPrefix(e.Entry.Key, w.prefix):
		case w.lost != 0 || len(w.events) >= w.limit:
			w.events, w.lost = nil, e.Entry.Revision
			w.signal()
		default:
			w.events = append(w.events, e)
			w.signal()
		}
	}
}

// lose drops everything up to a revision.
func (w *watcher) lose(upTo raftmeta.Revision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events, w.lost = nil, upTo
	w.signal()
}

// end lets the consumer take what is queued and then fails with err.
func (w *watcher) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.signal()
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Next implements raftmeta.Watcher.
func (w *watcher) Next(ctx context.Context) (raftmeta.Event, error) {
	for {
		if err := ctx.Err(); err != nil {
			return raftmeta.Event{}, err
		}
		if e, ok, err := w.take(); ok {
			return e, err
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
		}
	}
}

// take returns what is next, if anything.
func (w *watcher) take() (e raftmeta.Event, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.lost != 0:
		e = raftmeta.Event{Kind: raftmeta.EventResync, Entry: raftmeta.Entry{Bucket: w.bucket, Revision: w.lost}}
		w.lost = 0
	case len(w.events) > 0:
		e = w.events[0]
		w.events = w.events[1:]
	case w.err != nil:
		w.signal() // for calls to come
		return e, true, w.err
	default:
		return e, false, nil
	}
	return e, true, nil
}

// Close implements raftmeta.Watcher.
func (w *watcher) Close() {
	w.m.mu.Lock()
	delete(w.m.watchers, w)
	w.m.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events, w.lost, w.err = nil, 0, errClosed()
	w.signal()
}
