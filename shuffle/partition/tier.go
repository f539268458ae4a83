package partition

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

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
}

// Disk is a limit on disk that others share.
type Disk interface {
	// Reserve takes n bytes, or returns an error that names the limit.
	Reserve(n int64) error
	// Give gives n bytes back.
	Give(n int64)
}

// Tier is the memory and disk that several stores share. All methods may be
// called concurrently.
type Tier struct {
	options TierOptions
	files   atomic.Uint64 // numbers pack files

	mu     sync.Mutex
	memory int64
	disk   int64
}

// NewTier returns a tier of which nothing is used.
func NewTier(o TierOptions) *Tier {
	o.MemoryBytes = cmp.Or(o.MemoryBytes, DefaultMemoryBytes)
	o.PackBytes = cmp.Or(o.PackBytes, DefaultPackBytes)
	return &Tier{options: o}
}

// Used is the number of bytes in memory and on disk.
func (t *Tier) Used() (memory, disk int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.memory, t.disk
}

func (t *Tier) reserveMemory(n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.memory+n > t.options.MemoryBytes {
		return false
	}
	t.memory += n
	return true
}

func (t *Tier) reserveDisk(n int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.options.Dir == nil {
		return failure.Errorf(failure.Fatal, "exchange data exceeds the %d bytes of memory it may use, and there is no spill directory", t.options.MemoryBytes)
	}
	if q := t.options.QuotaBytes; q > 0 && t.disk+n > q {
		return failure.Errorf(failure.Fatal, "exchange data on disk exceeds its quota: %d bytes used of %d, %d wanted", t.disk, q, n)
	}
	if t.options.Disk != nil {
		if err := t.options.Disk.Reserve(n); err != nil {
			return fmt.Errorf("exchange data: %w", err)
		}
	}
	t.disk += n
	return nil
}

func (t *Tier) give(memory, disk int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memory -= memory
	t.disk -= disk
	if t.options.Disk != nil {
		t.options.Disk.Give(disk)
	}
}

func (t *Tier) packName() string { return fmt.Sprintf("pack-%08d.tmb", t.files.Add(1)) }
