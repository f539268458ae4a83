package pebblestate

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/state/memstate"
)

// levelOptions are for lookups of single keys all over: small blocks, filters, and no
// compression, which the file system's cache makes up for.
func levelOptions() pebble.LevelOptions {
	return pebble.LevelOptions{
		BlockSize: 4 << 10, IndexBlockSize: 32 << 10, FilterPolicy: bloom.FilterPolicy(10),
		Compression: func() *sstable.CompressionProfile { return sstable.NoCompression },
	}
}

// store is what a backend sees of its home: keys with its prefix. Its task uses it.
type store struct {
	home   *Home
	from   id.Checkpoint // that its task began at
	db     *database     // nil before the first change
	prefix [4]byte
	ended  bool
	// referred are the tables of checkpoints that are, or were, read: files by tables.
	referred map[string]string
}

// open takes part in the home's Pebble.
func (s *store) open() error {
	if s.db != nil {
		return s.wrap(nil)
	}
	if s.ended {
		return failure.Errorf(failure.Internal, "state in %s is used after it was closed", s.home.opts.Dir)
	}
	db, prefix, err := s.home.acquire(s.from)
	if err != nil {
		return err
	}
	s.db = db
	binary.BigEndian.PutUint32(s.prefix[:], prefix)
	return nil
}

// wrap classifies what a Pebble says, or has said before.
func (s *store) wrap(err error) error { return s.db.wrap(err) }

func (d *database) wrap(err error) error {
	if lost := d.guard.err(); lost != nil {
		return failure.Errorf(failure.Transient, "state on disk in %s is lost: %w", d.dir, lost)
	}
	if err == nil {
		return nil
	}
	class := failure.Of(err)
	if class == failure.Unclassified || class == failure.Fatal { // nobody has said so: another disk may do
		class = failure.Transient
	}
	return failure.Errorf(class, "state on disk in %s: %w", d.dir, err)
}

// Get implements memstate.Store.
func (s *store) Get(keys [][]byte, do func(i int, record []byte) error) error {
	if s.db == nil {
		return nil
	}
	if err := s.wrap(nil); err != nil {
		return err
	}
	return s.wrap(reader{s.db.pebble, s.db.recent, always, s.prefix}.get(keys, s.home.opts, do))
}

// Change implements memstate.Store.
func (s *store) Change() memstate.Changes { return &changes{store: s} }

// changes are a batch, made when the first one comes.
type changes struct {
	store *store
	batch *pebble.Batch
	key   []byte
	end   []byte
}

func (c *changes) begin() error {
	if c.batch != nil {
		return nil
	}
	if err := c.store.open(); err != nil {
		return err
	}
	c.batch = c.store.db.pebble.NewBatch()
	return nil
}

// Set implements memstate.Changes.
func (c *changes) Set(key, record []byte) error {
	if err := c.begin(); err != nil {
		return err
	}
	c.key = append(append(c.key[:0], c.store.prefix[:]...), key...)
	return c.store.wrap(c.batch.Set(c.key, record, nil))
}

// Delete implements memstate.Changes.
func (c *changes) Delete(key []byte) error {
	if err := c.begin(); err != nil {
		return err
	}
	c.key = append(append(c.key[:0], c.store.prefix[:]...), key...)
	return c.store.wrap(c.batch.Delete(c.key, nil))
}

// DeleteRange implements memstate.Changes.
func (c *changes) DeleteRange(from, to []byte) error {
	if c.store.db == nil {
		return nil // nothing was written
	}
	if err := c.begin(); err != nil {
		return err
	}
	c.key = append(append(c.key[:0], c.store.prefix[:]...), from...)
	c.end = append(append(c.end[:0], c.store.prefix[:]...), to...)
	return c.store.wrap(c.batch.DeleteRange(c.key, c.end, nil))
}

// Size implements memstate.Changes.
func (c *changes) Size() int {
	if c.batch == nil {
		return 0
	}
	return c.batch.Len()
}

// Commit implements memstate.Changes.
func (c *changes) Commit() error {
	if c.batch == nil {
		return nil
	}
	err := c.store.wrap(nil)
	if err == nil {
		c.store.db.recent.note(c.batch)
		err = c.store.wrap(c.batch.Commit(pebble.NoSync))
	}
	if closed := c.batch.Close(); err == nil {
		err = c.store.wrap(closed)
	}
	c.batch = nil
	return err
}

// Freeze implements memstate.Store.
func (s *store) Freeze() (memstate.Frozen, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	s.db.share()
	return &frozen{db: s.db, prefix: s.prefix, snapshot: s.db.pebble.NewSnapshot(), view: s.db.recent.now()}, nil
}

// Close implements memstate.Store.
func (s *store) Close() error {
	s.ended = true
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	var next [4]byte
	binary.BigEndian.PutUint32(next[:], binary.BigEndian.Uint32(s.prefix[:])+1)
	var err error
	if db.guard.err() == nil {
		err = db.wrap(db.pebble.DeleteRange(s.prefix[:], next[:], pebble.NoSync))
	}
	return errors.Join(err, db.release())
}

// frozen is a snapshot of a Pebble.
type frozen struct {
	db       *database
	prefix   [4]byte
	snapshot *pebble.Snapshot
	view     view
}

// Scan implements memstate.Frozen.
func (f *frozen) Scan(from, to []byte, do func(key, record []byte) error) (err error) {
	if err := f.db.wrap(nil); err != nil {
		return err
	}
	it, err := f.snapshot.NewIter(&pebble.IterOptions{
		LowerBound: append(append([]byte(nil), f.prefix[:]...), from...),
		UpperBound: append(append([]byte(nil), f.prefix[:]...), to...),
	})
	if err != nil {
		return f.db.wrap(err)
	}
	defer func() {
		if closed := it.Close(); err == nil {
			err = f.db.wrap(closed)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		record, err := it.ValueAndErr()
		if err != nil {
			return f.db.wrap(err)
		}
		if err := do(it.Key()[len(f.prefix):], record); err != nil {
			return err
		}
	}
	return f.db.wrap(it.Error())
}

// Get implements memstate.Frozen.
func (f *frozen) Get(keys [][]byte, do func(i int, record []byte) error) error {
	if err := f.db.wrap(nil); err != nil {
		return err
	}
	return f.db.wrap(reader{f.snapshot, f.db.recent, f.view, f.prefix}.get(keys, f.db.home.opts, do))
}

// Close implements memstate.Frozen.
func (f *frozen) Close() error {
	return errors.Join(f.db.wrap(f.snapshot.Close()), f.db.release())
}

var (
	_ memstate.Store   = (*store)(nil)
	_ memstate.Changes = (*changes)(nil)
	_ memstate.Frozen  = (*frozen)(nil)
)
