package blobstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

// Peer is what one master keeps by itself. Both methods may be called concurrently.
type Peer interface {
	// Put keeps data durably; name is its name.
	Put(ctx context.Context, name raftmeta.BlobName, data []byte) error
	// Get returns a blob that this master has, or raftmeta.ErrNotFound.
	Get(ctx context.Context, name raftmeta.BlobName) ([]byte, error)
}

// Options configures a store; the zero value is right for a master that is alone.
type Options struct {
	// Peers are all other masters with a vote as of now, whether they can be reached or
	// not: their number makes the majority. Nil means none.
	Peers func() []Peer
	// MaxBytes bounds a blob; zero means 64 MiB less what a message takes around it.
	MaxBytes int
	// MinAge is how long a blob that nobody uses is kept; zero means ten minutes.
	MinAge time.Duration
}

func (o Options) complete() Options {
	if o.Peers == nil {
		o.Peers = func() []Peer { return nil }
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64<<20 - 64<<10
	}
	if o.MinAge == 0 {
		o.MinAge = 10 * time.Minute
	}
	return o
}

const (
	// straggleTime is how long a peer may take after a majority has the blob.
	straggleTime = 10 * time.Second
	// fetchTime is how long one peer may take to give a blob before the next is asked.
	fetchTime = 5 * time.Second
	// maxStragglers bounds such peers; what is beyond is given up and fetched when needed.
	maxStragglers = 16
)

// Store is raftmeta.Blobs as one master sees it.
type Store struct {
	opts       Options
	files      *Files
	stragglers chan struct{} // a token each
	ctx        context.Context
	cancel     context.CancelFunc
	running    sync.WaitGroup // sends to peers

	mu     sync.Mutex
	closed bool
}

var _ raftmeta.Blobs = (*Store)(nil)

// Open opens the blobs in dir, which no other process may use.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.complete()
	files, err := openFiles(dir, opts.MaxBytes)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, files: files, stragglers: make(chan struct{}, maxStragglers)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Local is what this master has by itself, to be served to others.
func (s *Store) Local() *Files { return s.files }

// Put implements raftmeta.Blobs.
func (s *Store) Put(ctx context.Context, data []byte) (raftmeta.BlobName, error) {
	if err := s.alive(ctx); err != nil {
		return "", err
	}
	if err := s.files.fits(data); err != nil {
		return "", err
	}
	name, peers := raftmeta.NameOf(data), s.opts.Peers()
	if len(peers) > 0 {
		data = slices.Clone(data) // a straggler may still send it
	}
	waiting, done := context.WithCancel(ctx)
	defer done()
	results, err := s.send(waiting, peers, name, data)
	if err != nil {
		return "", err
	}
	if err := s.files.Put(ctx, name, data); err != nil {
		return "", err
	}
	missing := (len(peers) + 1) / 2
	var failed []error
	for missing > 0 {
		select {
		case err := <-results:
			if err == nil {
				missing--
			} else if failed = append(failed, err); len(peers)-len(failed) < (len(peers)+1)/2 {
				return "", failure.Errorf(failure.Transient, "put blob %.12s: no majority of %d masters has it: %w",
					string(name), len(peers)+1, errors.Join(failed...))
			}
		case <-ctx.Done():
			return "", fmt.Errorf("put blob %.12s: %w", string(name), ctx.Err())
		}
	}
	return name, nil
}

// send starts to put a blob to the peers. When waiting ends, those under way go on only as
// stragglers.
func (s *Store) send(waiting context.Context, peers []Peer, name raftmeta.BlobName, data []byte) (<-chan error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, failure.Wrap(failure.Cancelled, raftmeta.ErrClosed)
	}
	results := make(chan error, len(peers))
	for _, peer := range peers {
		sending, cancel := context.WithCancel(s.ctx)
		s.running.Go(func() {
			err := peer.Put(sending, name, data)
			cancel() // before anybody knows: what is done does not straggle
			results <- err
		})
		s.running.Go(func() {
			defer cancel()
			s.straggle(waiting, sending)
		})
	}
	return results, nil
}

// straggle returns when a sending has ended or has to.
func (s *Store) straggle(waiting, sending context.Context) {
	select {
	case <-sending.Done():
		return
	case <-waiting.Done():
	}
	if sending.Err() != nil {
		return
	}
	select {
	case s.stragglers <- struct{}{}:
		defer func() { <-s.stragglers }()
	default:
		return
	}
	timer := time.NewTimer(straggleTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-sending.Done():
	}
}

// Get implements raftmeta.Blobs.
func (s *Store) Get(ctx context.Context, name raftmeta.BlobName) ([]byte, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	data, own := s.files.Get(ctx, name)
	if own == nil {
		return data, nil
	}
	if !isName(name) {
		return nil, own
	}
	var unknown []error // of peers that may have it
	for _, peer := range s.opts.Peers() {
		data, err := fetch(ctx, peer, name)
		if err == nil {
			_ = s.files.Put(ctx, name, data) // only a copy more
			return data, nil
		}
		if !errors.Is(err, raftmeta.ErrNotFound) {
			unknown = append(unknown, err)
		}
	}
	if len(unknown) > 0 {
		return nil, failure.Wrap(failure.Transient, fmt.Errorf("get blob %.12s: %w", string(name), errors.Join(unknown...)))
	}
	return nil, own
}

// fetch asks one peer, which may hang.
func fetch(ctx context.Context, peer Peer, name raftmeta.BlobName) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	data, err := peer.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return data, name.Check(data)
}

// Collect implements raftmeta.Blobs for what this master has by itself.
func (s *Store) Collect(ctx context.Context, used func(raftmeta.BlobName) bool) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	if err := s.files.collect(ctx, used, time.Now().Add(-s.opts.MinAge)); err != nil {
		return fmt.Errorf("collect blobs: %w", err)
	}
	return nil
}

func (s *Store) alive(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return failure.Wrap(failure.Cancelled, raftmeta.ErrClosed)
	}
	return ctx.Err()
}

// Close gives up what is still being sent to peers. The second call does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	return s.files.root.Close()
}
