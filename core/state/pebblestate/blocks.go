package pebblestate

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// blockBytes is the unit of what is kept on local disk of tables that lie elsewhere: as
// much is read of a cold table at least.
const blockBytes = 32 << 10

// blocks are those parts of tables on another file system that are on local disk, too: one
// file of slots. What was written lately is there, and what was read; what has not been read
// since the hand came by gives way. It is never needed: when the local disk fails or has no
// room left, everything is read from where the tables lie.
type blocks struct {
	fs    vfs.FS
	name  string
	disk  Disk // nil: no limit
	log   *slog.Logger
	limit int   // slots
	leave int64 // of the disk to others, who need it

	mu    sync.Mutex
	file  vfs.File // nil: none yet, or off
	off   bool     // it has failed
	slots []slot
	free  []int32
	hand  int
}

// slot is a place of a block in the file.
type slot struct {
	owner *object // nil: free, or of a table that is gone
	block int32
	// turn counts owners: who has read a slot outside the lock has what it wanted if the
	// turn is still the same.
	turn    uint32
	filling bool // somebody writes it: nobody else takes it
	used    bool // read since the hand came by
}

func newBlocks(o Options, name string) *blocks {
	return &blocks{fs: o.FS, name: name, disk: o.Disk, log: o.Log, limit: int(o.LocalBytes / blockBytes), leave: o.LocalBytes / 8}
}

// read fills p with what the object has at an offset, if all of it is here.
func (b *blocks) read(o *object, p []byte, at int64) bool {
	for len(p) > 0 {
		within := at % blockBytes
		n := min(int64(len(p)), blockBytes-within)
		if !b.readBlock(o, int32(at/blockBytes), p[:n], within) {
			return false
		}
		p, at = p[n:], at+n
	}
	return true
}

func (b *blocks) readBlock(o *object, block int32, p []byte, within int64) bool {
	b.mu.Lock()
	i := o.slots[block] - 1
	if i < 0 || b.slots[i].filling || b.file == nil {
		b.mu.Unlock()
		return false
	}
	b.slots[i].used = true
	turn, file := b.slots[i].turn, b.file
	b.mu.Unlock()
	_, err := file.ReadAt(p, int64(i)*blockBytes+within)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.fail(err)
		return false
	}
	return b.slots[i].turn == turn
}

// put keeps a block, unless there is no room, it is here, or its table is gone.
func (b *blocks) put(o *object, block int32, p []byte) {
	b.mu.Lock()
	for int(block) >= len(o.slots) {
		o.slots = append(o.slots, 0)
	}
	if o.gone || o.slots[block] != 0 {
		b.mu.Unlock()
		return
	}
	i, ok := b.take()
	if !ok {
		b.mu.Unlock()
		return
	}
	b.slots[i] = slot{owner: o, block: block, turn: b.slots[i].turn + 1, filling: true}
	o.slots[block] = i + 1
	file := b.file
	b.mu.Unlock()
	_, err := file.WriteAt(p, int64(i)*blockBytes)
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.slots[i]
	s.filling = false
	if err != nil {
		b.fail(err)
		if s.owner != nil {
			s.owner.slots[s.block], s.owner = 0, nil
		}
	}
	if s.owner == nil {
		b.free = append(b.free, i)
	}
}

// take finds a slot; the caller holds the lock.
func (b *blocks) take() (int32, bool) {
	if !b.open() {
		return 0, false
	}
	if n := len(b.free) - 1; n >= 0 {
		i := b.free[n]
		b.free = b.free[:n]
		return i, true
	}
	if len(b.slots) < b.limit && b.grow() {
		b.slots = append(b.slots, slot{})
		return int32(len(b.slots) - 1), true
	}
	for range 2 * len(b.slots) { // the second time round nothing is in use any more
		i := b.hand
		b.hand = (b.hand + 1) % len(b.slots)
		s := &b.slots[i]
		switch {
		case s.filling || s.owner == nil:
		case s.used:
			s.used = false
		default:
			s.owner.slots[s.block] = 0
			return int32(i), true
		}
	}
	return 0, false
}

// grow reserves one more slot.
func (b *blocks) grow() bool {
	if b.disk == nil {
		return true
	}
	used, limit := b.disk.Level()
	return (limit == 0 || used+blockBytes+b.leave <= limit) && b.disk.Reserve(blockBytes) == nil
}

// open makes the file when the first block comes.
func (b *blocks) open() bool {
	if b.file != nil || b.off {
		return !b.off
	}
	file, err := openBoth(b.fs, b.name)
	if err != nil {
		b.fail(err)
		return false
	}
	b.file = file
	return true
}

// fail has nothing be kept any more; the file stays open for those who read it.
func (b *blocks) fail(err error) {
	if !b.off {
		b.log.Warn("state is not kept on local disk any more", "file", b.name, "error", err)
	}
	b.off = true
}

// drop forgets the blocks of a table that is gone.
func (b *blocks) drop(o *object) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.gone = true
	for _, at := range o.slots {
		if at == 0 {
			continue
		}
		s := &b.slots[at-1]
		s.owner = nil
		s.turn++
		if !s.filling { // else who fills it frees it
			b.free = append(b.free, at-1)
		}
	}
	clear(o.slots)
}

// close removes the file. Nobody reads or writes any more.
func (b *blocks) close() error {
	if b.disk != nil {
		b.disk.Give(int64(len(b.slots)) * blockBytes)
	}
	if b.file == nil {
		return nil
	}
	return errors.Join(b.file.Close(), b.fs.Remove(b.name))
}
