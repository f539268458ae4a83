package partition_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	tmemory "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
	"github.com/tidemill/tidemill/shuffle/wire"
)

var schema = arrow.NewSchema([]arrow.Field{
	{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
}, nil)

type fixture struct {
	t    *testing.T
	mem  *memory.CheckedAllocator
	path string
	dir  *os.Root
	tier *partition.Tier
}

func newFixture(t *testing.T, o partition.TierOptions) *fixture {
	f := &fixture{t: t, mem: memory.NewCheckedAllocator(memory.NewGoAllocator()), path: t.TempDir()}
	dir, err := os.OpenRoot(f.path)
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, f.dir = dir, dir
	f.tier = partition.NewTier(o)
	t.Cleanup(func() {
		_ = dir.Close()
		f.mem.AssertSize(t, 0)
		if m, d := f.tier.Used(); m != 0 || d != 0 {
			t.Errorf("%d bytes of memory and %d of disk are still used", m, d)
		}
		if left := f.files(); len(left) > 0 {
			t.Errorf("files left: %v", left)
		}
	})
	return f
}

func (f *fixture) files() []string {
	names, err := filepath.Glob(filepath.Join(f.path, "*"))
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

// rows are dictionary-encoded, with kinds: what a block must bring back whole.
func (f *fixture) rows(from, n int) *stream.Batch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64},
		{Name: "s", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(f.mem, schema)
	defer b.Release()
	out := &stream.Batch{}
	for i := from; i < from+n; i++ {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		if err := b.Field(1).AppendValueFromString(fmt.Sprint("value ", i%7)); err != nil {
			f.t.Fatal(err)
		}
		out.Kinds = append(out.Kinds, stream.Insert+stream.RowKind(i%4))
	}
	out.Record = b.NewRecordBatch()
	return out
}

func (f *fixture) append(s *partition.Store, lane, part uint32, b *stream.Batch) {
	f.t.Helper()
	if err := s.Append(f.t.Context(), lane, 0, part, b); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) store(lanes, partitions int) *partition.Store {
	s := partition.New(f.tier, f.mem, schema, lanes, partitions)
	f.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.t.Error(err)
		}
	})
	for lane := range uint32(lanes) {
		if err := s.Begin(lane, 0); err != nil {
			f.t.Fatal(err)
		}
	}
	return s
}

func (f *fixture) read(s *partition.Store, lanes int, part uint32) (rows []string, err error) {
	r := s.Reader(part, []uint32{0, 1}[:lanes])
	for {
		b, end, err := r.Next()
		if err != nil || end {
			return rows, err
		}
		if b == nil {
			return rows, errors.New("a lane is not sealed")
		}
		if b, err = wire.Decode(b); err != nil {
			return rows, err
		}
		for i := range b.Len() {
			rows = append(rows, fmt.Sprint(b.Kind(i), b.Column(0).ValueStr(i), b.Column(1).ValueStr(i)))
		}
		b.Release()
	}
}

// Memory stays within the tier's limit, and what went to disk comes back as it
// was, in order, as often as it is read.
func TestSpillAndReadBack(t *testing.T) {
	const limit = 5000
	f := newFixture(t, partition.TierOptions{MemoryBytes: limit, PackBytes: 3000})
	s := f.store(2, 3)
	want := make([][]string, 3)
	for lane := range uint32(2) {
		for i := range 20 {
			part := uint32(i % 3)
			b := f.rows(int(lane)*1000+i*10, 10)
			for r := range b.Len() {
				want[part] = append(want[part], fmt.Sprint(b.Kind(r), b.Column(0).ValueStr(r), b.Column(1).ValueStr(r)))
			}
			f.append(s, lane, part, b)
			if used, _ := f.tier.Used(); used > limit {
				t.Fatalf("%d bytes of memory", used)
			}
		}
		m, err := s.Seal(lane, 0)
		if err != nil || m.Partitions[0].Rows != 70 || m.Partitions[0].Digest == 0 {
			t.Fatalf("have %+v, %v", m, err)
		}
	}
	if n := len(f.files()); n < 2 {
		t.Errorf("%d pack files", n)
	}
	for range 2 {
		for part := range uint32(3) {
			have, err := f.read(s, 2, part)
			if err != nil || strings.Join(have, " ") != strings.Join(want[part], " ") {
				t.Fatalf("partition %d: %v\nhave %v\nwant %v", part, err, have, want[part])
			}
		}
	}
}

// Any damage to a file is DATA_LOSS, never other or fewer rows, and names lane and attempt.
// It costs that lane: others are read, and the next attempt takes its place.
func TestDamageIsDataLoss(t *testing.T) {
	f := newFixture(t, partition.TierOptions{MemoryBytes: 1})
	s := f.store(2, 1)
	write := func(lane, attempt uint32) {
		t.Helper()
		for i := range 2 {
			if err := s.Append(t.Context(), lane, attempt, 0, f.rows(20*i, 20)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Seal(lane, attempt); err != nil {
			t.Fatal(err)
		}
	}
	write(1, 0)
	name := f.files()[0]
	size := func() int64 {
		i, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return i.Size()
	}
	attempt, start := uint32(0), size()
	write(0, 0)
	length := size() - start
	bad := func(what string, change func(whole []byte)) {
		t.Helper()
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		change(whole[len(whole)-int(length):])
		if err := os.WriteFile(name, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err = f.read(s, 1, 0)
			if !errors.Is(err, shuffle.ErrDataLoss) || failure.Of(err) != failure.LostPartition || !strings.Contains(err.Error(), fmt.Sprintf("lane 0, attempt %d:", attempt)) {
				t.Fatalf("%s: have %v", what, err)
			}
		}
		if won := s.Won(); len(won) != 1 || won[0].Lane != 1 {
			t.Fatalf("%s: not lost are %v", what, won)
		}
		if attempt++; s.Begin(0, attempt) != nil {
			t.Fatal("the next attempt does not begin")
		}
		write(0, attempt)
	}
	for i := 0; i < int(length); i += 7 {
		bad(fmt.Sprintf("byte %d", i), func(b []byte) { b[i] ^= 1 })
	}
	bad("cleared", func(b []byte) { clear(b) })
	bad("swapped", func(b []byte) {
		half := len(b) / 2
		copy(b, append(slices.Clone(b[half:]), b[:half]...))
	})
	if have, err := f.read(s, 2, 0); err != nil || len(have) != 80 {
		t.Errorf("mended: %d rows, %v", len(have), err)
	}
	if err := os.Truncate(name, size()-length/2); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read(s, 1, 0); !errors.Is(err, shuffle.ErrDataLoss) {
		t.Errorf("cut: have %v", err)
	}
}

// A reader in the midst of a lane that is written anew does not go on with other rows.
func TestReaderOfALaneThatIsReplaced(t *testing.T) {
	f := newFixture(t, partition.TierOptions{})
	s := f.store(1, 1)
	for attempt := range uint32(2) {
		if err := s.Begin(0, attempt+1); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if err := s.Append(t.Context(), 0, attempt+1, 0, f.rows(20*i, 20)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Seal(0, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(0, 1); !errors.Is(err, shuffle.ErrLostRace) {
		t.Errorf("an attempt that has won writes again: %v", err)
	}
	r := s.Reader(0, []uint32{0})
	b, _, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	s.Forget(0)
	if _, _, err := r.Next(); !errors.Is(err, shuffle.ErrDataLoss) {
		t.Errorf("after the lane was forgotten: %v", err)
	}
	if err := s.Append(t.Context(), 0, 2, 0, f.rows(0, 1)); !errors.Is(err, shuffle.ErrReleased) {
		t.Errorf("a writer of a lane that was forgotten: %v", err)
	}
	if err := s.Begin(0, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), 0, 2, 0, f.rows(0, 20)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seal(0, 2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Next(); !errors.Is(err, shuffle.ErrDataLoss) {
		t.Errorf("after it was written anew: %v", err)
	}
	if have, err := f.read(s, 1, 0); err != nil || len(have) != 20 {
		t.Errorf("%d rows, %v", len(have), err)
	}
}

// Without room anywhere a block is refused with the limit in the message.
func TestNoRoom(t *testing.T) {
	f := newFixture(t, partition.TierOptions{MemoryBytes: 10, QuotaBytes: 100})
	s := f.store(1, 1)
	if err := s.Append(t.Context(), 0, 0, 0, f.rows(0, 5)); err == nil || !strings.Contains(err.Error(), "quota") {
		t.Errorf("have %v", err)
	}
	shared, err := spill.Open(t.TempDir(), 150)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if err := shared.Reserve(100); err != nil { // what operators have spilled
		t.Fatal(err)
	}
	s = newFixture(t, partition.TierOptions{MemoryBytes: 10, Disk: shared}).store(1, 1)
	if err := s.Append(t.Context(), 0, 0, 0, f.rows(0, 5)); err == nil || !strings.Contains(err.Error(), "io.tmp.limit") {
		t.Errorf("have %v", err)
	}
	none := partition.New(partition.NewTier(partition.TierOptions{MemoryBytes: 10}), f.mem, schema, 1, 1)
	if err := none.Begin(0, 0); err != nil {
		t.Fatal(err)
	}
	if err := none.Append(t.Context(), 0, 0, 0, f.rows(0, 5)); err == nil || !strings.Contains(err.Error(), "spill directory") {
		t.Errorf("have %v", err)
	}
}

// A spill directory that is gone is an error of the append, and of nothing else.
func TestSpillFails(t *testing.T) {
	f := newFixture(t, partition.TierOptions{MemoryBytes: 10})
	s := f.store(1, 1)
	if err := f.dir.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), 0, 0, 0, f.rows(0, 5)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("have %v", err)
	}
}

// crowded refuses what it is asked for while it is full, as accounted memory does.
type crowded struct {
	memory.Allocator
	full bool
}

func (c *crowded) Allocate(n int) []byte {
	if c.full {
		panic(&tmemory.ExhaustedError{Account: "shuffle", Wanted: int64(n)})
	}
	return c.Allocator.Allocate(n)
}

// A block is on disk and there is no memory to read it into: the reader is told to try
// again, the process lives, and the lane is whole once there is room. A shuffle server
// with little memory died of this.
func TestNoMemoryToRead(t *testing.T) {
	f := newFixture(t, partition.TierOptions{MemoryBytes: 1000})
	room := &crowded{Allocator: f.mem}
	s := partition.New(f.tier, room, schema, 1, 1)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Begin(0, 0); err != nil {
		t.Fatal(err)
	}
	f.append(s, 0, 0, f.rows(0, 100))
	if _, err := s.Seal(0, 0); err != nil {
		t.Fatal(err)
	}
	room.full = true
	if _, err := f.read(s, 1, 0); failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "memory exhausted") {
		t.Errorf("%v", err)
	}
	room.full = false
	if rows, err := f.read(s, 1, 0); err != nil || len(rows) != 100 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
