package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Default settings of a tier.
const (
	DefaultMemoryBytes = 256 << 20
	DefaultPackBytes   = 1 << 30
)

// TierOptions are the settings of a tier.
type TierOptions struct {
	// MemoryBytes bounds the blocks in memory; zero means DefaultMemoryBytes.
	MemoryBytes int64
	// Dir is the spill directory; nil means no disk: blocks that do not fit are
	// refused.
	Dir *os.Root
	// QuotaBytes bounds what lies in Dir; zero means no bound.
	QuotaBytes int64
	// Disk counts what lies in Dir together with what else is bounded with it; nil:
	// only QuotaBytes bounds it.
	Disk Disk
	// PackBytes is the size at which a new pack file is begun; zero means
	// DefaultPackBytes.
	PackBytes int64
	// Remote is where sealed data goes when the disk becomes full; nil: nowhere.
	Remote *RemoteOptions
}

// Disk is a limit on disk that others share.
type Disk interface {
	// Reserve takes n bytes, or returns an error that names the limit.
	Reserve(n int64) error
	// Give gives n bytes back.
	Give(n int64)
	// Level is how much of the limit is taken; a limit of zero is none.
	Level() (used, limit int64)
}

// Usage is what a tier holds and has done.
type Usage struct {
	Memory, Disk, Remote int64  // bytes
	Moved                uint64 // bytes that went to the remote tier
	FailedMoves          uint64 // segments that did not arrive there
	Waiting              int    // appends that wait for room on disk
	// Full is why the last write to disk found no room, for a minute, unless one finds it
	// meanwhile or some is given back; or nil.
	Full error
}

// Tier is the memory and disk that several stores share, and the remote directory
// below. All methods may be called concurrently.
type Tier struct {
	options TierOptions
	files   atomic.Uint64 // numbers pack files
	stores  atomic.Uint64 // numbers stores
	clock   atomic.Uint64 // orders seals and reads
	mover   *mover        // nil: there is no remote tier

	mu    sync.Mutex
	usage Usage
	full  time.Time     // when Usage.Full was set
	room  chan struct{} // closed when disk is given back, and then another one
}

// NewTier returns a tier of which nothing is used. One with a remote tier is to be closed.
func NewTier(o TierOptions) *Tier {
	o.MemoryBytes = cmp.Or(o.MemoryBytes, DefaultMemoryBytes)
	o.PackBytes = cmp.Or(o.PackBytes, DefaultPackBytes)
	t := &Tier{options: o, room: make(chan struct{})}
	if o.Remote != nil {
		t.mover = newMover(t, *o.Remote)
		t.mover.start()
	}
	return t
}

// Close ends what moves data to the remote tier, and removes everything there. Nobody uses
// the stores any more.
func (t *Tier) Close() error {
	if t.mover == nil {
		return nil
	}
	return t.mover.close()
}

// Used is the number of bytes in memory and on disk.
func (t *Tier) Used() (memory, disk int64) {
	u := t.Usage()
	return u.Memory, u.Disk
}

// Usage is what the tier holds and has done.
func (t *Tier) Usage() Usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.usage
	if u.Full != nil && time.Since(t.full) >= fullMemory {
		u.Full = nil // who is set aside for it is tried again
	}
	return u
}

// fullMemory is how long a disk is taken for full after a write found it so.
const fullMemory = time.Minute

func (t *Tier) reserveMemory(n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.usage.Memory+n > t.options.MemoryBytes {
		return false
	}
	t.usage.Memory += n
	return true
}

// errFull is wrapped by errors of appends for which there is no room on disk.
var errFull = errors.New("no room on disk")

// fullBy makes err, of a write to disk, one that names the directory, and errFull where that is
// what it says.
func (t *Tier) fullBy(err error) error {
	err = fmt.Errorf("exchange data in %s: %w", t.options.Dir.Name(), err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return t.noteFull(err)
	}
	return err
}

func (t *Tier) noteFull(err error) error {
	err = failure.Wrap(failure.Fatal, &fullError{err})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.Full, t.full = err, time.Now()
	return err
}

// fullError is errFull, and says only what its cause says.
type fullError struct{ cause error }

func (e *fullError) Error() string   { return e.cause.Error() }
func (e *fullError) Unwrap() []error { return []error{errFull, e.cause} }

// reserveDisk takes n bytes of the limits of disk.
func (t *Tier) reserveDisk(n int64) error {
	err := t.takeDisk(n)
	if errors.Is(err, errFull) {
		err = t.noteFull(err)
	}
	if t.mover != nil && t.pressed() {
		t.mover.hurry()
	}
	return err
}

func (t *Tier) takeDisk(n int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.options.Dir == nil {
		return failure.Errorf(failure.Fatal, "exchange data exceeds the %d bytes of memory it may use, and there is no spill directory", t.options.MemoryBytes)
	}
	if q := t.options.QuotaBytes; q > 0 && t.usage.Disk+n > q {
		return &fullError{fmt.Errorf("exchange data in %s exceeds its quota: %d bytes used of %d, %d wanted", t.options.Dir.Name(), t.usage.Disk, q, n)}
	}
	if t.options.Disk != nil {
		if err := t.options.Disk.Reserve(n); err != nil {
			return &fullError{fmt.Errorf("exchange data in %s: %w", t.options.Dir.Name(), err)}
		}
	}
	t.usage.Disk += n
	return nil
}

// wrote notes that there was room on disk.
func (t *Tier) wrote() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.Full = nil
}

func (t *Tier) give(memory, disk int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.Memory -= memory
	t.usage.Disk -= disk
	if disk == 0 {
		return
	}
	t.usage.Full = nil
	if t.options.Disk != nil {
		t.options.Disk.Give(disk)
	}
	if t.usage.Waiting > 0 {
		close(t.room)
		t.room = make(chan struct{})
	}
}

// pressed tells whether sealed data is to be moved to the remote tier.
func (t *Tier) pressed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	high := func(used, limit int64) bool {
		return limit > 0 && float64(used) > t.mover.options.After*float64(limit)
	}
	if t.usage.Waiting > 0 || high(t.usage.Disk, t.options.QuotaBytes) {
		return true
	}
	if t.options.Disk == nil {
		return false
	}
	return high(t.options.Disk.Level())
}

// roundPause is how long an append waits at most before it tries again: others who share the
// disk do not tell when they give some of it back.
const roundPause = time.Second

// wait waits until disk may have been given back, and takes the time of it off left. It
// reports whether to try again. room is from before the last try.
func (t *Tier) wait(ctx context.Context, room <-chan struct{}, left *time.Duration) (bool, error) {
	if t.mover == nil || *left <= 0 {
		return false, nil
	}
	t.waiting(1)
	defer t.waiting(-1)
	t.mover.hurry()
	begun := time.Now()
	timer := time.NewTimer(min(roundPause, *left))
	defer timer.Stop()
	select {
	case <-room:
	case <-timer.C:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	*left -= time.Since(begun)
	return true, nil
}

func (t *Tier) waiting(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.Waiting += n
}

// given is closed when disk is given back, if an append waits then.
func (t *Tier) given() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.room
}

// patience is how long an append waits for room.
func (t *Tier) patience() time.Duration {
	if t.mover == nil {
		return 0
	}
	return t.mover.options.Patience
}

func (t *Tier) packName() string { return fmt.Sprintf("pack-%08d.tmb", t.files.Add(1)) }
