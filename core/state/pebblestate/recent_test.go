package pebblestate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/tidemill/tidemill/core/state/memstate"
)

// model is a store and what it must hold.
type model struct {
	t     *testing.T
	rng   *rand.Rand
	store *store
	want  map[string]string
}

func newModel(t *testing.T, h *Home, seed uint64) *model {
	return &model{t: t, rng: rand.New(rand.NewPCG(seed, 1)), store: &store{home: h}, want: map[string]string{}}
}

// recordSpaces, recordKeys are how many ranges of keys there are, and keys in each.
const recordSpaces, recordKeys = 4, 100

func (m *model) key() []byte {
	return binary.BigEndian.AppendUint32([]byte{'r', byte(m.rng.IntN(recordSpaces))}, m.rng.Uint32N(recordKeys))
}

// change makes a batch of changes, now and then of a whole range.
func (m *model) change() {
	m.t.Helper()
	change := m.store.Change()
	for range m.rng.IntN(100) {
		key := m.key()
		var err error
		if m.rng.IntN(5) == 0 {
			delete(m.want, string(key))
			err = change.Delete(key)
		} else {
			record := bytes.Repeat([]byte{byte(m.rng.Uint32())}, m.rng.IntN(300))
			if m.rng.IntN(100) == 0 {
				record = make([]byte, longestRecent) // is not kept
			}
			m.want[string(key)] = string(record)
			err = change.Set(key, record)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
	if m.rng.IntN(8) == 0 {
		space := byte(m.rng.IntN(recordSpaces))
		maps.DeleteFunc(m.want, func(k, _ string) bool { return k[1] == space })
		if err := change.DeleteRange([]byte{'r', space}, []byte{'r', space + 1}); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := change.Commit(); err != nil {
		m.t.Fatal(err)
	}
}

type getter interface {
	Get(keys [][]byte, do func(i int, record []byte) error) error
}

// check looks all keys up.
func check(t *testing.T, from getter, want map[string]string) {
	t.Helper()
	if err := compare(from, want); err != nil {
		t.Fatal(err)
	}
}

func compare(from getter, want map[string]string) error {
	var keys [][]byte
	for space := range byte(recordSpaces) {
		for k := range uint32(recordKeys) {
			keys = append(keys, binary.BigEndian.AppendUint32([]byte{'r', space}, k))
		}
	}
	found := map[string]string{}
	if err := from.Get(keys, func(i int, record []byte) error { found[string(keys[i])] = string(record); return nil }); err != nil {
		return err
	}
	if !maps.Equal(found, want) {
		return fmt.Errorf("%d records are found of %d, or others", len(found), len(want))
	}
	return nil
}

// Whatever is written, deleted and written over, by several backends of a home: who looks up
// finds the newest record, and who has frozen the store what there was then.
func TestRecent(t *testing.T) {
	for _, test := range []struct {
		name   string
		bytes  int64
		disk   int64 // 0: no limit
		rounds int
	}{
		{"none", 0, 0, 20},
		{"small", leastRecent, 0, 40},
		{"large", 4 << 20, 0, 40},
		{"full disk", 4 << 20, 1 << 20, 60},
		{"no disk", 4 << 20, 1 << 10, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Dir: "state", FS: vfs.NewMem(), CacheBytes: 1 << 20, BufferBytes: 256 << 10, RecentBytes: test.bytes}
			if test.disk > 0 {
				o.Disk = &halfDisk{limit: test.disk}
			}
			h, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			models := []*model{newModel(t, h, 1), newModel(t, h, 2)}
			type past struct {
				frozen memstate.Frozen
				want   map[string]string
			}
			var frozen []past
			for n := range test.rounds {
				for _, m := range models {
					m.change()
					check(t, m.store, m.want)
				}
				if n%7 == 3 {
					f, err := models[0].store.Freeze()
					if err != nil {
						t.Fatal(err)
					}
					frozen = append(frozen, past{f, maps.Clone(models[0].want)})
				}
				for _, p := range frozen {
					check(t, p.frozen, p.want)
				}
				if len(frozen) > 2 {
					if err := frozen[0].frozen.Close(); err != nil {
						t.Fatal(err)
					}
					frozen = frozen[1:]
				}
			}
			if hits := h.Stats().Recent; (hits > 0) != (test.bytes > 0 && test.disk != 1<<10) {
				t.Errorf("%d records were found among the latest", hits)
			}
			for _, p := range frozen {
				if err := p.frozen.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := errors.Join(models[0].store.Close(), models[1].store.Close(), h.Close()); err != nil {
				t.Error(err)
			}
			if d, ok := o.Disk.(*halfDisk); ok && d.used.Load() != 0 {
				t.Errorf("%d bytes stay reserved", d.used.Load())
			}
			if left, err := o.FS.List("state"); err == nil {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

// halfDisk has a limit, which only who asks for the level heeds.
type halfDisk struct {
	limit int64
	used  atomic.Int64
}

func (d *halfDisk) Reserve(n int64) error      { d.used.Add(n); return nil }
func (d *halfDisk) Give(n int64)               { d.used.Add(-n) }
func (d *halfDisk) Level() (used, limit int64) { return d.used.Load(), d.limit }

// When positions come to their end they begin anew, and nothing old is taken for new.
func TestRecentPositionsEnd(t *testing.T) {
	h, err := Open(Options{Dir: "state", FS: vfs.NewMem(), BufferBytes: 256 << 10, RecentBytes: leastRecent})
	if err != nil {
		t.Fatal(err)
	}
	m := newModel(t, h, 3)
	for range 10 {
		m.change()
	}
	f, err := m.store.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	then := maps.Clone(m.want)
	m.store.db.recent.head = endOfPositions + unit
	for range 10 {
		m.change()
		check(t, m.store, m.want)
		check(t, f, then)
	}
	if m.store.db.recent.era != 1 || h.Stats().Recent == 0 {
		t.Errorf("era %d, %d found", m.store.db.recent.era, h.Stats().Recent)
	}
	if err := errors.Join(f.Close(), m.store.Close(), h.Close()); err != nil {
		t.Error(err)
	}
}

// Many go on looking up in what was frozen while the store is changed.
func TestRecentWhileWritten(t *testing.T) {
	h, err := Open(Options{Dir: "state", FS: vfs.NewMem(), BufferBytes: 256 << 10, RecentBytes: leastRecent})
	if err != nil {
		t.Fatal(err)
	}
	m := newModel(t, h, 4)
	for range 5 {
		m.change()
	}
	f, err := m.store.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	then, ended := maps.Clone(m.want), make(chan error, 1)
	go func() {
		var err error
		for range 20 {
			err = errors.Join(err, compare(f, then))
		}
		ended <- err
	}()
	for range 40 {
		m.change()
		check(t, m.store, m.want)
	}
	if err := errors.Join(<-ended, f.Close(), m.store.Close(), h.Close()); err != nil {
		t.Error(err)
	}
}

// What is damaged, or cannot be written or read, is taken from the Pebble.
func TestRecentFails(t *testing.T) {
	for _, what := range []string{"damage", "write", "read", "create"} {
		t.Run(what, func(t *testing.T) {
			var broken atomic.Bool
			mem := vfs.NewMem()
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				kind := map[string][]errorfs.OpKind{
					"write": {errorfs.OpFileWriteAt}, "read": {errorfs.OpFileReadAt}, "create": {errorfs.OpCreate},
				}[what]
				if broken.Load() && slices.Contains(kind, op.Kind) && op.Path == "state/1.recent" {
					return syscall.EIO
				}
				return nil
			}))
			broken.Store(what == "create")
			h, err := Open(Options{Dir: "state", FS: fs, BufferBytes: 256 << 10, RecentBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			m := newModel(t, h, 5)
			for n := range 10 {
				if n == 5 {
					broken.Store(true)
				}
				if what == "damage" && n >= 5 {
					damage(t, mem, "state/1.recent")
				}
				m.change()
				check(t, m.store, m.want)
			}
			if r := m.store.db.recent; r.off != (what != "damage") {
				t.Errorf("off: %v", r.off)
			}
			if err := errors.Join(m.store.Close(), h.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// damage inverts a part of a file.
func damage(t *testing.T, fs vfs.FS, name string) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3000)
	n, _ := f.ReadAt(b, 1000)
	for i := range b[:n] {
		b[i] ^= 0x55
	}
	if _, err := f.WriteAt(b[:n], 1000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever memory there is, a home takes a part of it.
func TestSized(t *testing.T) {
	for _, memory := range []int64{0, 4 << 20, 16 << 20, 1 << 30, 64 << 30} {
		o := Sized(memory)
		if held := o.Held(); held > max(memory/2, 1<<20) {
			t.Errorf("of %d bytes %d are held", memory, held)
		}
		if want := fmt.Sprint(o.RecentBytes >= leastRecent); want != fmt.Sprint(memory > 0) {
			t.Errorf("of %d bytes: %+v", memory, o)
		}
	}
}

// Whatever shares its tag and buckets, nothing is found where a key was before; and as long as
// a sixth of the entries are free nearly every key has one.
func TestRecentIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := &recent{index: make([]uint64, 4*ways)}
	var hashes []uint64
	for range 200 {
		hashes = append(hashes, rng.Uint64()&^(1<<tagBits-1)|rng.Uint64N(3)) // of few tags
	}
	newest := map[uint64]uint64{} // position when it was set or forgotten
	for position := uint64(1); position < 20_000; position++ {
		hash := hashes[rng.IntN(len(hashes))]
		if rng.IntN(10) == 0 {
			r.forget(hash)
			newest[hash] = position
			continue
		}
		r.set(hash, tagOf(hash)<<(positionBits+lengthBits)|position)
		newest[hash] = position
		at := map[uint64]bool{}
		for _, e := range r.index {
			at[e&positionMask] = true
		}
		if !at[position] {
			t.Fatalf("position %d is not there", position)
		}
		for hash, last := range newest {
			for _, bucket := range r.buckets(hash) {
				for _, e := range bucket {
					if p := e & positionMask; tagged(e, tagOf(hash)) && p < last {
						t.Fatalf("%x is found at %d, before %d", hash, p, last)
					}
				}
			}
		}
	}

	const entries = 100_000 / ways * ways
	r, hashes = &recent{index: make([]uint64, entries)}, nil
	for position := range uint64(entries * 5 / 6) {
		hashes = append(hashes, rng.Uint64())
		r.set(hashes[position], tagOf(hashes[position])<<(positionBits+lengthBits)|(position+1))
	}
	lost := 0
	for position, hash := range hashes {
		at := 0
		for _, bucket := range r.buckets(hash) {
			for _, e := range bucket {
				if tagged(e, tagOf(hash)) && e&positionMask == uint64(position+1) {
					at++
				}
			}
		}
		if at == 0 {
			lost++
		}
	}
	if lost > entries/1000 {
		t.Errorf("%d of %d keys have no entry", lost, len(hashes))
	}
}
