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
func puts(n int, groups keygroup.Range) state.Piece {
	spaces, keys := make([]int64, n), make([]int64, n)
	for i := range keys {
		keys[i] = int64(i)
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
