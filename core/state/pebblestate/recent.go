package pebblestate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/maphash"
	"io"
	"log/slog"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// ways is how many records a bucket of the index has room for; a record has two.
	ways = 8
	// bytesPerEntry is how much of the file there is for each of them.
	bytesPerEntry = 256
	// leastRecent is the least that is worth a file.
	leastRecent = 64 << 10
	// unit is what positions are multiples of, and readUnit what lengths are.
	unit, readUnit = 16, 64
	// longestRecent is how long a record may be, with its key.
	longestRecent = (1<<lengthBits - 1) * readUnit
	// recentWrite is how much is written at a time.
	recentWrite = 256 << 10
	// mostCuts is how many ranges that were deleted are told apart from the rest.
	mostCuts = 64
	// recentHead is before a record: a checksum of the rest, the position, what the key and
	// the record take.
	recentHead = 4 + 4 + 2 + 2
)

// An entry of the index: tag | length in readUnits | position in units. 0: there is none.
const (
	positionBits, lengthBits, tagBits = 38, 6, 20
	positionMask                      = 1<<positionBits - 1
	// endOfPositions leaves room for one batch.
	endOfPositions = (positionMask - 1<<32) * unit
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recent is the records that were written last, once more: a ring in a file on local disk, and
// in memory where each lies, by the hash of its key. One that is looked up costs a read of
// itself; Pebble asks files of several levels, and reads and keeps a block.
//
//	index   buckets of 8: tag, length, position      the newest of a key in one of two, or nothing
//	file    ... | checksum position lengths key record | ...
//
// It is never needed: what is not found there is in the Pebble, and when the local disk
// fails or has no room everything is read from there. What it finds is what the Pebble has:
// an entry gives way with whatever is written under its key, or under one with its tag.
type recent struct {
	fs    vfs.FS
	name  string
	disk  Disk // nil: no limit
	log   *slog.Logger
	guard *guard // counts bytes
	seed  maphash.Seed
	size  atomic.Int64 // of the ring; it becomes less when the disk is full
	hits  atomic.Int64

	mu       sync.Mutex
	index    []uint64
	file     vfs.File // nil: none yet, or off
	off      bool     // it has failed
	reserved int64    // bytes of the file
	head     int64    // position of the next record; that in the file is modulo size
	oldest   int64    // positions below have been written over
	era      int      // counts how often positions began anew
	cuts     []cut
	out      []byte // scratch: records that are being written
}

// cut is a range of keys that was deleted when head was at.
type cut struct {
	from, to []byte
	at       int64
}

// view says which records somebody may see.
type view struct {
	era    int
	before int64
}

// always is the view of who sees everything.
var always = view{era: -1}

// newRecent is nil where bytes are too few.
func newRecent(o Options, bytes int64, name string, g *guard) *recent {
	if bytes < leastRecent {
		return nil
	}
	r := &recent{
		fs: o.FS, name: name, disk: o.Disk, log: o.Log, guard: g, seed: maphash.MakeSeed(), head: unit,
	}
	r.size.Store(bytes / bytesPerEntry * bytesPerEntry)
	return r
}

// entriesOf is how many entries there are for so many bytes of records.
func entriesOf(n int64) int64 { return n / bytesPerEntry / ways * ways }

// recentHeld is the memory that so many bytes of records take.
func recentHeld(n int64) int64 {
	if n < leastRecent {
		return 0
	}
	return 8*entriesOf(n) + recentWrite + longestRecent
}

// now is the view of who must not see what comes later.
func (r *recent) now() view {
	if r == nil {
		return always
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return view{r.era, r.head}
}

func (r *recent) hash(prefix [4]byte, key []byte) uint64 {
	return maphash.Bytes(r.seed, key) + uint64(binary.BigEndian.Uint32(prefix[:]))*0x9e3779b97f4a7c15
}

// buckets are the two that the entry of a key can be in: with one alone one key in twenty
// finds no room where most entries are taken.
func (r *recent) buckets(hash uint64) [2][]uint64 {
	n := uint64(len(r.index) / ways)
	one, _ := bits.Mul64(hash, n)
	other, _ := bits.Mul64(bits.RotateLeft64(hash, 32)*0x9e3779b97f4a7c15, n)
	return [2][]uint64{r.index[one*ways:][:ways], r.index[other*ways:][:ways]}
}

func tagOf(hash uint64) uint64      { return hash & (1<<tagBits - 1) }
func positionOf(entry uint64) int64 { return int64(entry&positionMask) * unit }
func lengthOf(entry uint64) int     { return int(entry>>positionBits&(1<<lengthBits-1)) * readUnit }

func tagged(entry, tag uint64) bool       { return entry != 0 && entry>>(positionBits+lengthBits) == tag }
func (r *recent) fresh(entry uint64) bool { return positionOf(entry) >= r.oldest }

// places are the entries of keys as far as there are some in a view, 0 where there are none;
// nil: there are none at all.
func (r *recent) places(prefix [4]byte, keys [][]byte, v view) []uint64 {
	if r == nil {
		return nil
	}
	out := make([]uint64, len(keys))
	for i, key := range keys {
		out[i] = r.hash(prefix, key)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil || r.off || v != always && v.era != r.era {
		return nil
	}
	for i, hash := range out {
		out[i] = 0
		for _, bucket := range r.buckets(hash) {
			for _, e := range bucket {
				if tagged(e, tagOf(hash)) && r.fresh(e) && (v == always || positionOf(e) < v.before) && !r.isCut(prefix, keys[i], positionOf(e)) {
					out[i] = e
				}
			}
		}
	}
	return out
}

// isCut says that a key's range was deleted after a position. The lock is held.
func (r *recent) isCut(prefix [4]byte, key []byte, position int64) bool {
	for i := len(r.cuts) - 1; i >= 0 && r.cuts[i].at > position; i-- {
		c := r.cuts[i]
		if bytes.HasPrefix(c.from, prefix[:]) && bytes.Compare(c.from[len(prefix):], key) <= 0 && (c.to == nil || bytes.Compare(key, c.to[len(prefix):]) < 0) {
			return true
		}
	}
	return false
}

// read returns the record of a key, prefix and all, that an entry says where to find; nil where
// there is another. The record is in buf.
func (r *recent) read(entry uint64, key, buf []byte) []byte {
	b, position := buf[:lengthOf(entry)], positionOf(entry)
	n, err := r.file.ReadAt(b, position%r.size.Load())
	if err != nil && !errors.Is(err, io.EOF) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.fail(err)
		return nil
	}
	r.guard.read.Add(int64(n))
	if b = b[:n]; n < recentHead {
		return nil
	}
	k, v := int(binary.LittleEndian.Uint16(b[8:])), int(binary.LittleEndian.Uint16(b[10:]))
	switch {
	case binary.LittleEndian.Uint32(b[4:]) != uint32(position/unit): // somebody has written over it
	case recentHead+k+v > n, !bytes.Equal(b[recentHead:recentHead+k], key):
	case crc32.Checksum(b[4:recentHead+k+v], castagnoli) != binary.LittleEndian.Uint32(b):
	default:
		r.hits.Add(1)
		return b[recentHead+k : recentHead+k+v]
	}
	return nil
}

// note takes what a batch changes, before others can see it.
func (r *recent) note(batch *pebble.Batch) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open() {
		return
	}
	if r.head > endOfPositions {
		clear(r.index)
		r.era++
		r.head, r.oldest, r.cuts = unit, 0, nil
	}
	from := r.head
	for changes := batch.Reader(); ; {
		kind, key, value, ok, err := changes.Next()
		switch {
		case err != nil:
			r.fail(err)
			return
		case !ok:
			r.write(from)
			return
		case kind == pebble.InternalKeyKindRangeDelete:
			r.cut(key, value)
			continue
		}
		hash := r.hash([4]byte(key), key[4:])
		if kind != pebble.InternalKeyKindSet || recentHead+len(key)+len(value) > longestRecent {
			r.forget(hash)
			continue
		}
		need := (int64(recentHead+len(key)+len(value)) + unit - 1) / unit * unit
		if rest := r.size.Load() - r.head%r.size.Load(); need > rest || len(r.out) >= recentWrite {
			if !r.write(from) {
				return
			}
			if rest = r.size.Load() - r.head%r.size.Load(); need > rest {
				r.head += rest // to the next round
			}
			from = r.head
		}
		r.add(hash, key, value, need)
	}
}

// add appends a record.
func (r *recent) add(hash uint64, key, value []byte, need int64) {
	at := len(r.out)
	r.out = append(r.out, make([]byte, recentHead)...)
	r.out = append(append(r.out, key...), value...)
	b := r.out[at:]
	binary.LittleEndian.PutUint32(b[4:], uint32(r.head/unit))
	binary.LittleEndian.PutUint16(b[8:], uint16(len(key)))
	binary.LittleEndian.PutUint16(b[10:], uint16(len(value)))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	length := uint64(len(b)+readUnit-1) / readUnit
	r.out = append(r.out, make([]byte, need-int64(len(b)))...)
	r.set(hash, tagOf(hash)<<(positionBits+lengthBits)|length<<positionBits|uint64(r.head/unit))
	r.head += need
}

// set makes an entry that of its key, in the bucket with more room, or where neither has any in
// the place of the oldest.
func (r *recent) set(hash, entry uint64) {
	r.forget(hash)
	var (
		place *uint64
		room  int
	)
	for _, bucket := range r.buckets(hash) {
		oldest, free := &bucket[0], 0
		for i := range bucket {
			if bucket[i] == 0 || !r.fresh(bucket[i]) {
				free++
			}
			if bucket[i]&positionMask < *oldest&positionMask {
				oldest = &bucket[i]
			}
		}
		if place == nil || free > room || free == room && *oldest&positionMask < *place&positionMask {
			place, room = oldest, free
		}
	}
	*place = entry
}

// forget drops the entry of a key, and others with its tag, in both buckets: one that
// stayed would be found for it.
func (r *recent) forget(hash uint64) {
	for _, bucket := range r.buckets(hash) {
		for i, e := range bucket {
			if tagged(e, tagOf(hash)) {
				bucket[i] = 0
			}
		}
	}
}

// cut drops the entries of a range, of all keys from one on with its prefix where to is nil.
func (r *recent) cut(from, to []byte) {
	r.cuts = append(r.cuts, cut{bytes.Clone(from), bytes.Clone(to), r.head})
	if r.trim(); len(r.cuts) > mostCuts {
		r.cuts, r.oldest = nil, r.head
	}
}

// replaced says that a store has got other records than those that were noted.
func (r *recent) replaced(prefix [4]byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut(prefix[:], nil)
}

// trim forgets cuts that concern nothing any more.
func (r *recent) trim() {
	n := 0
	for n < len(r.cuts) && r.cuts[n].at <= r.oldest {
		n++
	}
	r.cuts = r.cuts[n:]
}

// write writes what is to be written, which begins at a position, and says whether more may
// follow.
func (r *recent) write(from int64) bool {
	b, size := r.out, r.size.Load()
	r.out = r.out[:0]
	if len(b) == 0 {
		return !r.off
	}
	r.oldest = max(r.oldest, r.head-size)
	r.trim()
	if end := from%size + int64(len(b)); end > r.reserved && !r.grow(end) {
		return !r.off
	}
	if _, err := r.file.WriteAt(b, from%size); err != nil {
		r.fail(err)
		return false
	}
	r.guard.written.Add(int64(len(b)))
	return true
}

// grow reserves room up to end, in the first round, as long as half of the disk is left to
// others, who need it. Else the ring stays as large as it is and begins anew, and what was to be
// written is not there.
func (r *recent) grow(end int64) bool {
	if r.disk != nil {
		used, limit := r.disk.Level()
		if limit > 0 && used+end-r.reserved > limit/2 || r.disk.Reserve(end-r.reserved) != nil {
			if r.reserved < leastRecent {
				r.fail(errors.New("there is no room"))
				return false
			}
			r.size.Store(r.reserved)
			r.head += r.reserved - r.head%r.reserved
			r.oldest = r.head
			return false
		}
	}
	r.reserved = end
	return true
}

// open makes file and index when the first record comes.
func (r *recent) open() bool {
	if r.file != nil || r.off {
		return !r.off
	}
	file, err := openBoth(r.fs, r.name)
	if err != nil {
		r.fail(err)
		return false
	}
	r.file, r.index = file, make([]uint64, entriesOf(r.size.Load()))
	return true
}

// fail has nothing be found any more; the file stays open for those who read it.
func (r *recent) fail(err error) {
	if !r.off {
		r.log.Warn("records of state are not kept on local disk once more", "file", r.name, "error", err)
	}
	r.off = true
}

// close removes the file. Nobody reads or writes any more.
func (r *recent) close() error {
	if r == nil {
		return nil
	}
	if r.disk != nil {
		r.disk.Give(r.reserved)
	}
	if r.file == nil {
		return nil
	}
	return errors.Join(r.file.Close(), r.fs.Remove(r.name))
}

// openBoth makes a file that is read and written: what vfs creates need not be readable.
func openBoth(fs vfs.FS, name string) (vfs.File, error) {
	created, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = created.Close()
	}
	if err != nil {
		return nil, err
	}
	return fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
}
