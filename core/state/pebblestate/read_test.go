package pebblestate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

// However many goroutines look keys up, records come in the order of their keys, each for
// its own key; an error of who takes them ends it.
func TestGetInOrder(t *testing.T) {
	for _, lookups := range []int{1, 3, 16} {
		h, err := Open(Options{Dir: "state", FS: vfs.NewMem(), CacheBytes: 1 << 20, BufferBytes: 64 << 10, Lookups: lookups})
		if err != nil {
			t.Fatal(err)
		}
		s := &store{home: h}
		change := s.Change()
		var keys [][]byte
		for i := range uint32(4001) {
			key := binary.BigEndian.AppendUint32([]byte("r"), i)
			if keys = append(keys, key); i%3 == 0 {
				if err := change.Set(key, []byte(fmt.Sprint("record ", i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := change.Commit(); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 31, 64, 100, 4001} {
			next := 0
			err := s.Get(keys[:n], func(i int, record []byte) error {
				if i != next || string(record) != fmt.Sprint("record ", i) {
					t.Errorf("%d lookups of %d: position %d has %q, want position %d", lookups, n, i, record, next)
				}
				next = i + 3
				return nil
			})
			if want := (n + 2) / 3 * 3; err != nil || next != want {
				t.Errorf("%d lookups of %d: ended before %d, want %d; %v", lookups, n, next, want, err)
			}
		}
		stop, taken := errors.New("enough"), 0
		err = s.Get(keys, func(int, []byte) error {
			if taken++; taken == 500 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || taken != 500 {
			t.Errorf("%d lookups: %v after %d records", lookups, err, taken)
		}
		if err := errors.Join(s.Close(), h.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// column makes a key column.
func column(numbers []int64) []arrow.Array {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(numbers, nil)
	return []arrow.Array{b.NewArray()}
}

// meter notes the most that was charged.
type meter struct{ used, most int64 }

func (m *meter) Grow(n int64) error {
	m.used += n
	m.most = max(m.most, m.used)
	return nil
}

func (m *meter) Shrink(n int64) { m.used -= n }

// Tables, filters and what they need while they grow stay near the budget, although arrays
// do not shrink: it came out at twice the budget when they doubled.
func TestBudgetIsKept(t *testing.T) {
	const budget, keys, batch = 8 << 20, 120_000, 1000
	h, err := Open(Options{Dir: "state", FS: vfs.NewMem(), CacheBytes: 1 << 20, BufferBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	var account meter
	b := h.New(64, keygroup.Range{Last: 64}, memory.DefaultAllocator, &account, budget)
	bigint := datatype.Of(datatype.BigInt).NotNull()
	spec := state.TableSpec{ID: 1, Keys: datatype.Schema{{Name: "k", Type: bigint}}, Evictable: true}
	for i := range 18 {
		spec.Values = append(spec.Values, datatype.Field{Name: fmt.Sprint("v", i), Type: bigint})
	}
	table, err := b.Table(spec)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := table.Namespace(0)
	if err != nil {
		t.Fatal(err)
	}
	slots := make([]int32, batch)
	for from := int64(0); from < keys; from += batch {
		numbers := make([]int64, batch)
		for i := range numbers {
			numbers[i] = from + int64(i)
		}
		columns := column(numbers)
		hashes := compute.HashColumns(columns, nil, nil)
		if err := rows.Resolve(columns, nil, hashes, slots); err != nil {
			t.Fatal(err)
		}
		compute.ReleaseAll(columns)
		if b.Crowded() {
			if err := b.Evict(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if account.most < budget/2 || account.most > budget*5/4 {
		t.Errorf("%d bytes were charged at most, the budget is %d", account.most, budget)
	}
	if err := errors.Join(b.Close(), h.Close()); err != nil || account.used != 0 {
		t.Errorf("%d bytes are left, %v", account.used, err)
	}
}
