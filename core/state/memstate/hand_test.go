package memstate

import (
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// purse is an account that may be empty.
type purse struct {
	used  int64
	most  int64 // 0: no limit
	empty bool
}

func (p *purse) Grow(n int64) error {
	if p.empty || p.most > 0 && p.used+n > p.most {
		return errors.New("no memory")
	}
	p.used += n
	return nil
}

func (p *purse) Shrink(n int64) { p.used -= n }

// ledger is a store that keeps records, and notes in which order they were written.
type ledger struct {
	records map[string]string
	written [][]byte
	most    int // keys that were asked for together
}

func (l *ledger) Get(keys [][]byte, do func(i int, record []byte) error) error {
	l.most = max(l.most, len(keys))
	for i, k := range keys {
		if r, ok := l.records[string(k)]; ok {
			if err := do(i, []byte(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *ledger) Scan(from, to []byte, do func(key, record []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(l.records)) {
		if string(from) <= k && k < string(to) {
			if err := do([]byte(k), []byte(l.records[k])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *ledger) Set(key, record []byte) error {
	l.records[string(key)] = string(record)
	if !isNote(key) {
		l.written = append(l.written, slices.Clone(key))
	}
	return nil
}

func (l *ledger) Freeze() (Frozen, error) { return &ledger{records: maps.Clone(l.records)}, nil }

func (l *ledger) Delete(key []byte) error {
	delete(l.records, string(key))
	return nil
}

func (l *ledger) DeleteRange([]byte, []byte) error { return nil }
func (l *ledger) Change() Changes                  { return l }
func (l *ledger) Size() int                        { return 0 }
func (l *ledger) Commit() error                    { return nil }
func (l *ledger) Close() error                     { return nil }

// sums is a table of numbers with little memory.
func sums(t *testing.T, account stream.Account, store Store, budget int64) (*Backend, *space) {
	t.Helper()
	b := NewTiered(64, keygroup.Range{First: 16, Last: 48}, memory.DefaultAllocator, account, store, budget)
	bigint := datatype.Of(datatype.BigInt).NotNull()
	table, err := b.Table(state.TableSpec{
		ID: 1, Keys: datatype.Schema{{Name: "k", Type: bigint}}, Values: datatype.Schema{{Name: "v", Type: bigint}}, Evictable: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := table.Namespace(0)
	if err != nil {
		t.Fatal(err)
	}
	return b, rows.(*space)
}

// resolve asks for keys, and moves what is too much out of memory.
func resolve(t *testing.T, b *Backend, s *space, keys []int64) {
	t.Helper()
	builder := array.NewInt64Builder(memory.DefaultAllocator)
	defer builder.Release()
	builder.AppendValues(keys, nil)
	column := builder.NewArray()
	defer column.Release()
	columns := []arrow.Array{column}
	hashes := compute.HashColumns(columns, nil, nil)
	if err := s.Resolve(columns, nil, hashes, make([]int32, len(keys))); err != nil {
		t.Fatal(err)
	}
	if b.Crowded() {
		if err := b.Evict(); err != nil {
			t.Fatal(err)
		}
	}
}

// Keys leave memory in the order of their hashes, round by round: the files that a store
// makes of them hardly overlap. By slots each file overlapped with all.
func TestKeysLeaveByHash(t *testing.T) {
	store, account := &ledger{records: map[string]string{}}, &purse{}
	b, s := sums(t, account, store, 1<<20)
	for from := int64(0); from < 100_000; from += 100 {
		keys := make([]int64, 100)
		for i := range keys {
			keys[i] = from + int64(i)
		}
		resolve(t, b, s, keys)
	}
	back, before := 0, uint64(0)
	of := stretchesOf(b.owned, b.groups)
	for _, key := range store.written {
		now := of.of(hashOf(key))
		if now < before {
			back++
		}
		before = now
	}
	if n := len(store.written); n < 50_000 || back > n/1000 {
		t.Errorf("%d keys were written, %d times one lies before the one that was written before it", n, back)
	}
	if err := b.Close(); err != nil || account.used != 0 {
		t.Errorf("%d bytes are left, %v", account.used, err)
	}
}

// A hand chooses each key at most once, those first that were not asked for, and goes by
// slots where it gets no memory.
func TestVictims(t *testing.T) {
	for _, empty := range []bool{false, true} {
		account := &purse{}
		b, s := sums(t, account, &ledger{records: map[string]string{}}, 1<<30)
		keys := make([]int64, 1000)
		for i := range keys {
			keys[i] = int64(i)
		}
		resolve(t, b, s, keys)
		resolve(t, b, s, keys[:300]) // these have been asked for again
		account.empty = empty
		first := s.victims(700)
		for _, x := range first {
			if s.cold.flags[x]&hitBits != 0 {
				t.Fatalf("slot %d was asked for", x)
			}
		}
		all := slices.Sorted(slices.Values(append(first, s.victims(1000)...)))
		if len(first) != 700 || len(all) != 1000 || len(slices.Compact(all)) != 1000 {
			t.Errorf("%d keys of 700, and %d of 1000 in the end", len(first), len(all))
		}
		if held := s.cold.hand.bytes(); (held == 0) != empty {
			t.Errorf("the hand takes %d bytes, memory refused: %v", held, empty)
		}
		account.empty = false
		if err := b.Close(); err != nil || account.used != 0 {
			t.Errorf("%d bytes are left, %v", account.used, err)
		}
	}
}

// What notes name comes once and in order, however often and in whatever order it was noted,
// and not all notes are in memory at a time.
func TestNotes(t *testing.T) {
	store := &ledger{records: map[string]string{}}
	b, s := sums(t, nil, store, 1<<20)
	r, prefix := rand.New(rand.NewPCG(1, 2)), appendSpace(nil, 1, 0)
	want := map[string]bool{}
	for range 200 {
		from, keys := r.Uint64N(1<<20), make([]string, 1500)
		for i := range keys { // of a stretch, some for the second time
			keys[i] = string(append(appendHash(prefix, from+r.Uint64N(1<<14)), 1, 2))
			want[keys[i]] = true
		}
		slices.Sort(keys)
		n := s.cold.noting(b.tier)
		for _, key := range keys {
			if err := n.add([]byte(key), store); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.write(store); err != nil {
			t.Fatal(err)
		}
	}
	a := &away{backend: b, frozen: store}
	noted := awaySpace{table: s.table, ns: 0, notes: s.cold.notes}
	before, n := "", 0
	err := a.readNotes(noted, func(key []byte) error {
		if string(key) <= before || !want[string(key)] {
			t.Fatalf("key %x after %x", key, before)
		}
		before = string(key)
		n++
		return nil
	})
	if err != nil || n != len(want) {
		t.Errorf("%d of %d keys, %v", n, len(want), err)
	}
	if store.most > notesAtOnce || len(s.cold.notes) < 2*notesAtOnce {
		t.Errorf("%d of %d notes are read together", store.most, len(s.cold.notes))
	}
	stop := errors.New("stop")
	if err := a.readNotes(noted, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("reading goes on after %v: %v", stop, err)
	}
	for _, bad := range []string{"\x80", "\x03abc", string(binary.AppendUvarint(nil, 1<<40))} {
		store.records[string(s.cold.notes[0])] = bad
		if err := a.readNotes(noted, func([]byte) error { return nil }); err == nil {
			t.Errorf("note %q is read", bad)
		}
	}
}

// A snapshot of changes has the records that its notes name, each once although it left
// memory twice, and the notes go with the next one.
func TestNotesOfSnapshots(t *testing.T) {
	store := &ledger{records: map[string]string{}}
	b, s := sums(t, &purse{}, store, 0)
	take := func() map[int64]int {
		snapshot, err := b.Snapshot(state.Changes)
		if err != nil {
			t.Fatal(err)
		}
		defer snapshot.Release()
		if err := state.Complete(snapshot); err != nil {
			t.Fatal(err)
		}
		times := map[int64]int{}
		err = snapshot.Write(t.Context(), func(p state.Piece) error {
			for _, k := range p.Rows.Column(1).(*array.Int64).Int64Values() {
				times[k]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return times
	}
	keys := make([]int64, 1000)
	for i := range keys {
		keys[i] = int64(i)
	}
	resolve(t, b, s, keys)
	take()
	resolve(t, b, s, []int64{1, 2, 3})
	resolve(t, b, s, []int64{2, 3, 4})
	if n, named := s.inMemory(), len(s.cold.notes); n != 0 || named != 2 {
		t.Fatalf("%d keys are in memory, %d notes", n, named)
	}
	times := take()
	for k := range int64(5) {
		if n := times[k]; n > 1 || n == 0 && k > 0 {
			t.Errorf("key %d is in a snapshot %d times", k, n)
		}
	}
	if len(times) == len(keys) {
		t.Error("the snapshot of changes has all keys")
	}
	for key := range store.records {
		if isNote([]byte(key)) {
			t.Errorf("note %x is left", key)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A snapshot copies nothing at once. Keys that leave memory before it was their turn are in
// it, once each, as they were; when it is copied the memory of a table without keys is given
// back.
func TestKeysLeaveWhileTheyAreCopied(t *testing.T) {
	account := &purse{}
	b, s := sums(t, account, &ledger{records: map[string]string{}}, 1<<40)
	keys := make([]int64, 10_000)
	for i := range keys {
		keys[i] = int64(i)
	}
	resolve(t, b, s, keys)
	want := make([]int, len(keys))
	for x, hash := range s.Hashes() { // slots are as the keys are yet
		s.Values()[0].Int64[x] = 1
		if b.owned.Contains(keygroup.Of(hash, b.groups)) {
			want[x] = 1
		}
	}
	snapshot, err := b.Snapshot(state.Changes)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Release()
	if done, err := snapshot.Copy(1); done || err != nil {
		t.Fatalf("copied at once: %v, %v", done, err)
	}
	b.tier.budget, b.tier.busy = 0, true
	resolve(t, b, s, keys[:1])
	if n, ok := s.inMemory(), s.Table.Len() > 0; n != 0 || !ok {
		t.Fatalf("%d keys are in memory; slots are left: %v", n, ok)
	}
	b.tier.budget = 1 << 40
	resolve(t, b, s, keys[5_000:]) // they come back, to other slots, and change
	for x := range s.Values()[0].Int64 {
		s.Values()[0].Int64[x] = 2
	}
	b.tier.budget, b.tier.busy = 0, true
	resolve(t, b, s, keys[:1])
	before := account.used
	if err := state.Complete(snapshot); err != nil {
		t.Fatal(err)
	}
	if s.Table.Len() > 0 || account.used >= before {
		t.Errorf("%d slots are left, %d bytes of %d", s.Table.Len(), account.used, before)
	}
	times := make([]int, len(keys))
	err = snapshot.Write(t.Context(), func(p state.Piece) error {
		values := p.Rows.Column(2).(*array.Int64)
		for i, k := range p.Rows.Column(1).(*array.Int64).Int64Values() {
			if times[k]++; values.Value(i) != 1 {
				t.Errorf("key %d is %d", k, values.Value(i))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range times {
		if n != want[k] {
			t.Errorf("key %d is in the snapshot %d times, want %d", k, n, want[k])
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

var (
	_ Store   = (*ledger)(nil)
	_ Changes = (*ledger)(nil)
	_ Frozen  = (*ledger)(nil)
)
