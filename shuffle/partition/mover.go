package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/fs"
)

// Default settings of a remote tier.
const (
	DefaultRemoteAfter  = 0.8
	DefaultSegmentBytes = 64 << 20
	DefaultObjectBytes  = 256 << 20
	DefaultPatience     = time.Minute
)

// RemoteOptions say where sealed data goes when the disk becomes full.
type RemoteOptions struct {
	// FS and Dir are the place, which belongs to this life of the process alone: Close
	// removes Dir with all that is in it. Required.
	FS  fs.FileSystem
	Dir string
	// After is the share of a limit on disk from which data is moved; zero means
	// DefaultRemoteAfter. Without a limit it is moved when writes find no room.
	After float64
	// SegmentBytes is the least that is moved of an exchange at once; zero means
	// DefaultSegmentBytes.
	SegmentBytes int64
	// ObjectBytes is about the most in one object; zero means DefaultObjectBytes.
	ObjectBytes int64
	// Patience is how long an append waits for room on disk; zero means DefaultPatience.
	Patience time.Duration
	// Log is for what fails and is tried again; nil: nothing is logged.
	Log *slog.Logger
}

// mover takes sealed data of a tier's stores to the remote tier, and removes there what is
// not needed any more. One goroutine does it.
type mover struct {
	tier    *Tier
	options RemoteOptions
	wake    chan struct{} // of capacity one: there is something to do
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex // a leaf
	stores map[*Store]bool
	doomed []string // paths that are to be removed
	used   bool     // something was written to Dir
}

func newMover(t *Tier, o RemoteOptions) *mover {
	o.After = cmp.Or(o.After, DefaultRemoteAfter)
	o.SegmentBytes = cmp.Or(o.SegmentBytes, DefaultSegmentBytes)
	o.ObjectBytes = max(cmp.Or(o.ObjectBytes, DefaultObjectBytes), o.SegmentBytes)
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &mover{
		tier: t, options: o, wake: make(chan struct{}, 1), done: make(chan struct{}),
		stores: map[*Store]bool{},
	}
}

// start has the goroutine begin; close ends it.
func (m *mover) start() {
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go m.run(ctx)
}

// closePatience is how long the remote tier may take to be emptied; what stays is the next
// life's to remove.
const closePatience = 10 * time.Second

func (m *mover) close() error {
	m.cancel()
	<-m.done
	m.mu.Lock()
	used := m.used
	m.mu.Unlock()
	if !used {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), closePatience)
	defer stop()
	if err := m.options.FS.RemoveAll(ctx, m.options.Dir); err != nil {
		return fmt.Errorf("remove exchange data of the remote tier: %w", err)
	}
	return nil
}

// hurry has the goroutine look for something to do.
func (m *mover) hurry() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mover) keep(s *Store, open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if open {
		m.stores[s] = true
	} else {
		delete(m.stores, s)
	}
}

// doom has a path below Dir removed, whatever is there.
func (m *mover) doom(path string) {
	m.mu.Lock()
	m.doomed = append(m.doomed, path)
	m.mu.Unlock()
	m.hurry()
}

// The pauses after something failed.
const (
	firstPause = time.Second
	mostPause  = 15 * time.Second
)

func (m *mover) run(ctx context.Context) {
	defer close(m.done)
	pause := time.Duration(0)
	for {
		err := m.work(ctx)
		if ctx.Err() != nil {
			return
		}
		wake, again := m.wake, (<-chan time.Time)(nil)
		if pause = min(max(2*pause, firstPause), mostPause); err != nil {
			m.options.Log.Warn("exchange data and the remote tier", "again in", pause, "error", err)
			wake, again = nil, time.After(pause)
		} else {
			pause = 0
		}
		select {
		case <-wake:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// work does what there is to do.
func (m *mover) work(ctx context.Context) error {
	removed := m.remove(ctx)
	for ctx.Err() == nil {
		g := m.choose()
		if g == nil {
			break
		}
		if err := g.move(ctx); err != nil {
			m.tier.moved(0, 1)
			return errors.Join(removed, err)
		}
	}
	return removed
}

// remove removes what is doomed. What cannot be removed now is tried again.
func (m *mover) remove(ctx context.Context) error {
	m.mu.Lock()
	doomed := m.doomed
	m.doomed = nil
	m.mu.Unlock()
	var failed []string
	var errs []error
	for _, path := range doomed {
		if err := m.options.FS.RemoveAll(ctx, path); err != nil {
			failed = append(failed, path)
			errs = append(errs, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doomed = append(m.doomed, failed...)
	return errors.Join(errs...)
}

// choose returns what is moved next: of the store with the lane that has been neither sealed
// nor read for the longest time. nil: nothing.
func (m *mover) choose() *segment {
	if !m.tier.pressed() {
		return nil
	}
	m.mu.Lock()
	stores := slices.Collect(maps.Keys(m.stores))
	m.mu.Unlock()
	var best *Store
	var oldest uint64
	for _, s := range stores {
		if age, enough := s.movable(m.options.SegmentBytes); enough && (best == nil || age < oldest) {
			best, oldest = s, age
		}
	}
	if best == nil {
		return nil
	}
	return best.segment(m.options.ObjectBytes)
}

// path is that of the next object of a store.
func (m *mover) path(s *Store, object uint64) string {
	m.mu.Lock()
	m.used = true
	m.mu.Unlock()
	return fs.Join(m.dir(s), fmt.Sprintf("%08d.tms", object))
}

// dir is where the objects of a store are.
func (m *mover) dir(s *Store) string { return fs.Join(m.options.Dir, fmt.Sprintf("%08d", s.number)) }

// moved counts what went to the remote tier, and how often it did not.
func (t *Tier) moved(bytes int64, failures uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.Remote += bytes
	t.usage.Moved += uint64(bytes)
	t.usage.FailedMoves += failures
}

// dropped counts what is not needed any more of the remote tier.
func (t *Tier) dropped(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.Remote -= bytes
}
