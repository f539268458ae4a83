package memstate

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

// Operands are put together a few at a time, as compactions happen to come: what there is of
// the key in the end is the same as of all together, and as of a plain twin.
func TestMerge(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		var operands [][]byte
		rows, values := map[uint64]string{}, ""
		for range 1 + r.IntN(12) {
			var p part
			if r.IntN(3) == 0 {
				values = fmt.Sprint("values ", r.IntN(100))
				p.valued, p.values = true, []byte(values)
			}
			for q := range uint64(6) {
				switch r.IntN(5) {
				case 0:
					p.removed = append(p.removed, q)
					delete(rows, q)
				case 1:
					row := fmt.Sprint("row ", r.IntN(100))
					p.rows = append(p.rows, partRow{q, []byte(row)})
					rows[q] = row
				}
			}
			operands = append(operands, p.append(nil))
		}
		all, err := Merge(operands, true)
		if err != nil {
			t.Fatal(err)
		}
		for len(operands) > 1 {
			from := r.IntN(len(operands) - 1)
			to := from + 2 + r.IntN(len(operands)-from-1)
			one, err := Merge(operands[from:to], false)
			if err != nil {
				t.Fatal(err)
			}
			operands = slices.Replace(operands, from, to, one)
		}
		parts, err := Merge(operands, true)
		if err != nil || !bytes.Equal(parts, all) {
			t.Fatalf("seed %d: %q, %v, all together %q", seed, parts, err, all)
		}
		if values == "" {
			if all != nil {
				t.Fatalf("seed %d: %q of a key that is not there", seed, all)
			}
			continue
		}
		p, ok := readPart(all)
		if !ok || string(p.values) != values || len(p.rows) != len(rows) || len(p.removed) > 0 {
			t.Fatalf("seed %d: %+v, want %s and %v", seed, p, values, rows)
		}
		for _, row := range p.rows {
			if rows[row.sequence] != string(row.values) {
				t.Fatalf("seed %d: row %d is %s, want %s", seed, row.sequence, row.values, rows[row.sequence])
			}
		}
	}
	for _, bad := range []string{"", "x", "\x04", "\x04\x00", "\x04\x01", "\x0c\x05ab\x00\x00", "\x04\x00\x01\x01\x09a", "\x04\x00\x00z"} {
		if _, err := Merge([][]byte{[]byte(bad)}, true); !errors.Is(err, checkpoint.ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A piece of very many namespaces is sorted into several, each of which names its own.
func TestSortSplitsNamespaces(t *testing.T) {
	bigint := datatype.Of(datatype.BigInt).NotNull()
	spec := state.TableSpec{ID: 1, Name: "sums", Keys: datatype.Schema{{Name: "k", Type: bigint}}, Values: datatype.Schema{{Name: "v", Type: bigint}}}
	const spaces = 2*mostSpaces + 10
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range int64(2 * spaces) {
		b.Append(spaces/2 - i/2)
	}
	column := b.NewArray()
	defer column.Release()
	for i := range int64(2 * spaces) {
		b.Append(i)
	}
	keys := b.NewArray()
	defer keys.Release()
	rows := array.NewRecordBatch(state.PieceSchema(spec, state.PutKey), []arrow.Array{column, keys, keys}, 2*spaces)
	defer rows.Release()
	all, err := Sort(state.Piece{Table: spec, Kind: state.PutKey, Groups: keygroup.Range{Last: 64}, Rows: rows})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d pieces, %v", len(all), err)
	}
	ns, last := int64(spaces/2-spaces+1), []byte(nil)
	for _, s := range all {
		if len(s.Spaces) > mostSpaces || bytes.Compare(last, s.First) > 0 {
			t.Errorf("%d namespaces, from %q after %q", len(s.Spaces), s.First, last)
		}
		for i, space := range s.Spaces {
			if space != ns || s.Counts[i] != 2 {
				t.Fatalf("%d rows of namespace %d, want 2 of %d", s.Counts[i], space, ns)
			}
			ns++
		}
		err := s.Each(func(key, _ []byte) error {
			if bytes.Compare(last, key) >= 0 || bytes.Compare(key, s.First) < 0 || bytes.Compare(key, s.Last) >= 0 {
				t.Fatalf("key %q after %q, in [%q, %q)", key, last, s.First, s.Last)
			}
			last = bytes.Clone(key)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
