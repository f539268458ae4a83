package memstate

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

var oneSum = state.TableSpec{
	ID: 1, Keys: datatype.Schema{{Name: "k", Type: datatype.Of(datatype.BigInt).NotNull()}},
	Values: datatype.Schema{{Name: "v", Type: datatype.Of(datatype.BigInt).NotNull()}},
}

// puts makes a piece of the keys [0, n), said to be of these groups.
func puts(n int, groups keygroup.Range) state.Piece { return putsOf(0, 0, n, groups) }

// putsOf makes a piece of the keys [from, from+n) of a namespace.
func putsOf(ns int64, from, n int, groups keygroup.Range) state.Piece {
	spaces, keys := make([]int64, n), make([]int64, n)
	for i := range keys {
		spaces[i], keys[i] = ns, int64(from+i)
	}
	columns := []arrow.Array{integers(memory.DefaultAllocator, spaces), integers(memory.DefaultAllocator, keys), integers(memory.DefaultAllocator, keys)}
	return state.Piece{
		Table: oneSum, Kind: state.PutKey, Groups: groups,
		Rows: array.NewRecordBatch(state.PieceSchema(oneSum, state.PutKey), columns, int64(n)),
	}
}

// Room is made for keys that follow a piece in its density, but for no more than there are:
// a group with all the keys does not count for the others. Without memory for it, or without
// a word of what comes, the table grows step by step.
func TestRoomForWhatIsRestored(t *testing.T) {
	all := keygroup.Range{Last: 64}
	for name, x := range map[string]struct {
		groups      keygroup.Range
		foreseen    int
		limited     bool
		least, most int
	}{
		"dense":         {keygroup.Range{Last: 4}, 32_000, false, 31_000, 34_000},
		"one hot group": {keygroup.Range{Last: 1}, 3_000, false, 2_000, 6_000},
		"nothing said":  {keygroup.Range{Last: 4}, 0, false, 2_000, 6_000},
		"no memory":     {keygroup.Range{Last: 4}, 32_000, true, 2_000, 6_000},
	} {
		account := &purse{}
		if x.limited {
			account.most = 300_000
		}
		b := New(64, all, memory.DefaultAllocator, account)
		if x.foreseen > 0 {
			b.Foresee(map[uint16]int{1: x.foreseen})
		}
		p := puts(2_000, x.groups)
		if err := b.Restore(p, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s := b.tables[1].spaces[0]
		if n := s.Capacity(); n < x.least || n > x.most || s.Len() != 2_000 {
			t.Errorf("%s: room for %d keys, %d are there", name, n, s.Len())
		}
		slots := make([]int32, 2_000)
		if err := s.Find([]arrow.Array{p.Rows.Column(1)}, nil, compute.HashColumns([]arrow.Array{p.Rows.Column(1)}, nil, nil), slots); err != nil {
			t.Fatal(err)
		}
		for i, x := range slots {
			if x < 0 || s.Values()[0].Int64[x] != int64(i) {
				t.Fatalf("%s: key %d is %d", name, i, x)
			}
		}
		if err := b.Close(); err != nil || account.used != 0 {
			t.Errorf("%s: %v, %d bytes stay charged", name, err, account.used)
		}
	}
}

// What later snapshots bring is told from their first piece: keys of their own, which room is
// made for at once, or changes of those that are there.
func TestRoomForLaterSnapshots(t *testing.T) {
	all := keygroup.Range{Last: 64}
	restore := func(foreseen int, pieces ...state.Piece) *Backend {
		b := New(64, all, memory.DefaultAllocator, &purse{})
		b.Foresee(map[uint16]int{1: foreseen})
		for _, p := range pieces {
			if err := b.Restore(p, nil); err != nil {
				t.Fatal(err)
			}
			p.Rows.Release()
		}
		return b
	}
	half := func(from int) []state.Piece {
		return []state.Piece{putsOf(0, from, 2_000, keygroup.Range{Last: 32}), putsOf(0, from+2_000, 2_000, keygroup.Range{First: 32, Last: 64})}
	}
	within := func(what string, b *Backend, ns int64, least, most int) {
		t.Helper()
		if n := b.tables[1].spaces[ns].Capacity(); n < least || n > most {
			t.Errorf("%s: room for %d keys", what, n)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	within("the first alone", restore(40_000, half(0)...), 0, 4_000, 8_000)
	within("others", restore(40_000, append(half(0), half(4_000)[0])...), 0, 40_000, 44_000)
	within("changes", restore(40_000, append(half(0), half(0)...)...), 0, 4_000, 8_000)

	// Of what is to come for a table a namespace counts on its own part.
	spaces := append(half(0), putsOf(1, 0, 200, keygroup.Range{Last: 32}), putsOf(1, 200, 200, keygroup.Range{First: 32, Last: 64}), putsOf(1, 400, 200, keygroup.Range{Last: 32}))
	within("a part", restore(40_000, spaces...), 1, 600, 8_000)
}
