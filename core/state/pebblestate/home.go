package pebblestate

import (
	"cmp"
	"fmt"
	"log/slog"
	"path"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/remote"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
)

// Options are where a home is and what it may take. Zero values mean the defaults.
type Options struct {
	// Dir is a directory of the home's own, made if need be. What is in it is removed.
	Dir string
	// FS is the file system; the system's.
	FS vfs.FS
	// Disk is asked before bytes are written, and told when they are gone; nil: there is
	// no limit.
	Disk Disk
	// Account is charged for cache and buffers while there is a Pebble; nil: nobody is.
	Account stream.Account
	// CacheBytes is the size of the cache of blocks; 32 MB: filters and indexes of 20
	// million keys.
	CacheBytes int64
	// BufferBytes is the size of a write buffer, of which there are two at most, and a
	// third for what is being committed; 8 MB.
	BufferBytes int64
	// RecentBytes is how much local disk the records that were written last may take once more,
	// each of which one read finds there; a 32nd of it is memory. 0: nothing.
	RecentBytes int64
	// Files is how many files are open at a time; 1,024.
	Files int
	// Compactions is how many run at a time; 1.
	Compactions int
	// Lookups is how many keys a backend looks up at a time; 4, with Remote 64.
	Lookups int
	Log     *slog.Logger // nil: discarded

	// Remote is where the Pebble's tables lie, each Pebble's in a directory of its own below
	// RemoteDir; nil: in Dir.
	Remote    fs.FileSystem
	RemoteDir string
	// LocalBytes bounds what is kept in Dir of tables that lie elsewhere, records that were
	// written last among it; 16 GB. Disk is asked for it, too, and keeps an eighth of it free for
	// others.
	LocalBytes int64
}

// Sized are the sizes for a process that can give state so much memory: about a quarter of it
// is held by a Pebble, three quarters of that to find what was written lately.
func Sized(memory int64) Options {
	return Options{
		CacheBytes: min(max(memory/24, 128<<10), 32<<20), BufferBytes: min(max(memory/128, 64<<10), 4<<20),
		RecentBytes: memory * 6,
	}
}

// Disk limits bytes on disk; core/spill's directory is one.
type Disk interface {
	Reserve(n int64) error
	Give(n int64)
	// Level is what is reserved, and the most that can be.
	Level() (used, limit int64)
}

func (o Options) complete() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.CacheBytes, o.BufferBytes = cmp.Or(o.CacheBytes, 32<<20), cmp.Or(o.BufferBytes, 8<<20)
	o.Files, o.Compactions = cmp.Or(o.Files, 1024), cmp.Or(o.Compactions, 1)
	o.LocalBytes = cmp.Or(o.LocalBytes, 16<<30)
	if o.Remote != nil {
		o.Lookups = cmp.Or(o.Lookups, remoteLookups)
	}
	o.Lookups = cmp.Or(o.Lookups, 4)
	return o
}

// remoteLookups are so many because most wait.
const remoteLookups = 64

// Held is the memory that a Pebble takes and is charged for.
func (o Options) Held() int64 {
	o = o.complete()
	return o.CacheBytes + 3*o.BufferBytes + recentHeld(o.recentBytes())
}

// recentBytes is RecentBytes, of tables that lie elsewhere half of LocalBytes at most.
func (o Options) recentBytes() int64 {
	if o.Remote == nil {
		return o.RecentBytes
	}
	return min(o.RecentBytes, o.LocalBytes/2)
}

// Home is where the backends of a worker put what leaves memory. It may be used by many
// goroutines.
type Home struct {
	opts Options

	mu     sync.Mutex
	made   int
	db     *database // nil: there is none
	closed bool
}

// Open makes a home. The Pebble is opened when the first backend needs it.
func Open(o Options) (*Home, error) {
	o = o.complete()
	if o.Dir == "" {
		return nil, failure.Errorf(failure.Internal, "a home of state without a directory")
	}
	if err := o.FS.RemoveAll(o.Dir); err != nil {
		return nil, failure.Errorf(failure.Usage, "clear directory of state %s: %w", o.Dir, err)
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, failure.Errorf(failure.Usage, "make directory of state %s: %w", o.Dir, err)
	}
	return &Home{opts: o}, nil
}

// New returns empty state, as memstate.New does, whose evictable tables take about budget
// bytes of memory.
func (h *Home) New(groups int, owned keygroup.Range, alloc memory.Allocator, account stream.Account, budget int64) *memstate.Backend {
	return memstate.NewTiered(groups, owned, alloc, account, &store{home: h}, budget)
}

// NewAt is New for a task that begins at a checkpoint (0: with nothing). Where the home has
// a Remote it returns the directory there, too, by its name below RemoteDir
// (checkpoint.NewHome): who sweeps leaves it alone until the backend is closed.
func (h *Home) NewAt(c id.Checkpoint, groups int, owned keygroup.Range, alloc memory.Allocator, account stream.Account, budget int64) (*memstate.Backend, string, error) {
	s := &store{home: h, from: c}
	dir := ""
	if h.opts.Remote != nil {
		if err := s.open(); err != nil {
			return nil, "", err
		}
		dir = s.db.remote
	}
	return memstate.NewTiered(groups, owned, alloc, account, s, budget), dir, nil
}

// Close removes the directory. Backends and their snapshots must have been closed.
func (h *Home) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.db != nil {
		return failure.Errorf(failure.Internal, "directory of state %s is closed while %d use it", h.opts.Dir, h.db.users)
	}
	if err := h.opts.FS.RemoveAll(h.opts.Dir); err != nil {
		return fmt.Errorf("remove directory of state %s: %w", h.opts.Dir, err)
	}
	return nil
}

// Stats are bytes that have gone to and from disk since the current Pebble was opened.
type Stats struct {
	Read, Written int64
	Disk          int64 // bytes on local disk, without what is kept of tables that lie elsewhere
	// Recent is how many records were found among those that were written last.
	Recent int64
	// Of tables that lie elsewhere: bytes, reads there, and reads that local disk has answered.
	Elsewhere, Remote, Local int64
}

// Stats are zero while there is no Pebble.
func (h *Home) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.db == nil {
		return Stats{}
	}
	g := h.db.guard
	out := Stats{Read: g.read.Load(), Written: g.written.Load(), Disk: int64(h.db.pebble.Metrics().DiskSpaceUsage())}
	if h.db.recent != nil {
		out.Recent = h.db.recent.hits.Load()
	}
	if o := h.db.objects; o != nil {
		out.Elsewhere, out.Remote, out.Local = o.bytes(), o.reads.Load(), o.hits.Load()
	}
	return out
}

// database is a Pebble.
type database struct {
	home     *Home
	dir      string
	pebble   *pebble.DB
	guard    *guard
	objects  *objects // nil: tables lie in dir
	recent   *recent  // nil: there is none
	remote   string   // name of their directory
	users    int      // guarded by Home.mu
	prefixes uint32   // guarded by Home.mu
}

// acquire returns a Pebble and a prefix for one more user, a task that begins at a checkpoint.
func (h *Home) acquire(c id.Checkpoint) (*database, uint32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, 0, failure.Errorf(failure.Internal, "directory of state %s is closed", h.opts.Dir)
	}
	if h.db == nil || h.db.guard.err() != nil {
		db, err := h.open(c)
		if err != nil {
			return nil, 0, err
		}
		h.db = db
	}
	h.db.users++
	h.db.prefixes++
	return h.db, h.db.prefixes, nil
}

// share is acquire of one that is in use.
func (d *database) share() {
	d.home.mu.Lock()
	defer d.home.mu.Unlock()
	d.users++
}

// release lets go of a Pebble; the last one closes it and removes what it has written.
func (d *database) release() error {
	h := d.home
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.users--; d.users > 0 {
		return nil
	}
	if h.db == d {
		h.db = nil
	}
	return d.close()
}

// open makes a Pebble.
func (h *Home) open(c id.Checkpoint) (*database, error) {
	o := h.opts
	if o.Account != nil {
		if err := o.Account.Grow(o.Held()); err != nil {
			return nil, fmt.Errorf("memory for state on disk in %s: %w", o.Dir, err)
		}
	}
	h.made++
	d := &database{home: h, dir: o.FS.PathJoin(o.Dir, fmt.Sprint(h.made))}
	d.guard = newGuard(o.FS, d.dir, o.Disk)
	d.recent = newRecent(o, o.recentBytes(), d.dir+".recent", d.guard)
	if o.Remote != nil {
		o.LocalBytes -= o.recentBytes()
		d.remote = checkpoint.NewHome(c)
		d.objects = newObjects(o, path.Join(o.RemoteDir, d.remote), d.guard, newBlocks(o, d.dir+".blocks"))
	}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	var err error
	d.pebble, err = pebble.Open(d.dir, d.options(cache))
	if err == nil && d.objects != nil {
		err = d.pebble.SetCreatorID(1) // there is no other
	}
	if err == nil {
		err = d.guard.err()
	}
	if err != nil {
		err = failure.Errorf(failure.Transient, "open state in %s: %w", d.dir, err)
		if closed := d.close(); closed != nil {
			o.Log.Warn("close state that was not opened", "dir", d.dir, "error", closed)
		}
		return nil, err
	}
	return d, nil
}

// fileBytes is how large files of a Pebble get.
const fileBytes = 4 << 20

// How many layers of files that overlap are worth a compaction: few local look-ups meet them
// (recent), and 8 write twice as much; where the first look-up of a file waits for reads from
// elsewhere, 32 take 3 s for a thousand cold keys instead of 0.5 s.
const localLayers, remoteLayers = 32, 16

// options are those of a store that is written in batches, read by key, and thrown away.
func (d *database) options(cache *pebble.Cache) *pebble.Options {
	o := d.home.opts
	out := &pebble.Options{
		FS: d.guard, Logger: logger{d}, DisableWAL: true, Cache: cache, MaxOpenFiles: o.Files + 10,
		FormatMajorVersion: pebble.FormatNewest, Merger: merger(), MemTableSize: uint64(o.BufferBytes), MemTableStopWritesThreshold: 2,
		// Files that leave memory in one round overlap at their edges only.
		L0CompactionThreshold: localLayers, L0StopWritesThreshold: 1 << 10, LBaseMaxBytes: 64 << 20,
		CompactionConcurrencyRange: func() (int, int) { return 1, o.Compactions },
		DisableTableStats:          true, NoSyncOnClose: true,
	}
	for i := range out.Levels {
		// A file's filter must be small beside a shard of the cache, or it is read anew for
		// each key: 200 KB a lookup, measured with files that double from level to level.
		out.TargetFileSizes[i] = fileBytes
		out.Levels[i] = levelOptions()
	}
	out.Levels[len(out.Levels)-1].FilterPolicy = pebble.NoFilterPolicy // Get does not ask for it
	if d.objects != nil {
		out.L0CompactionThreshold = remoteLayers
		out.Experimental.RemoteStorage, out.Experimental.CreateOnShared = d.objects, remote.CreateOnSharedAll
	}
	// Corruption comes back as an error of who reads.
	out.EventListener = &pebble.EventListener{
		DataCorruption:  func(info pebble.DataCorruptionInfo) { d.guard.fail(d.objects.damaged(info)) },
		BackgroundError: func(err error) { d.guard.fail(err) },
	}
	return out
}

// close ends a Pebble that nobody uses any more.
func (d *database) close() (err error) {
	o := d.home.opts
	if d.pebble != nil {
		if err = d.pebble.Close(); err != nil {
			err = failure.Errorf(failure.Transient, "close state in %s: %w", d.dir, err)
		}
		if d.guard.err() != nil {
			err = nil // it was told before
		}
	}
	if d.objects != nil {
		if removed := d.objects.close(); removed != nil { // who sweeps removes it
			o.Log.Warn("state was not removed", "dir", d.objects.dir, "error", removed)
		}
	}
	if removed := d.recent.close(); removed != nil {
		o.Log.Warn("records of state were not removed", "dir", d.dir, "error", removed)
	}
	d.guard.giveAll()
	if o.Account != nil {
		o.Account.Shrink(o.Held())
	}
	if removed := o.FS.RemoveAll(d.dir); removed != nil && err == nil {
		err = fmt.Errorf("remove state in %s: %w", d.dir, removed)
	}
	return err
}

// logger takes what Pebble has to say.
type logger struct{ database *database }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.database.home.opts.Log.Warn(fmt.Sprintf(format, args...), "dir", l.database.dir)
}

// Fatalf would end the process: here it ends the store.
func (l logger) Fatalf(format string, args ...any) {
	l.database.guard.fail(fmt.Errorf(format, args...))
}

var _ pebble.Logger = logger{}
