package groups

import (
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// sweeps is how often groups are looked at in the time that they are kept.
const sweeps = 8

// Touched is the value column of a table whose groups have Ages.
func Touched() datatype.Field {
	return datatype.Field{Name: "touched", Type: datatype.Of(datatype.BigInt).NotNull()}
}

// Ages tell for how long nothing has come for groups, whose state has a time to live. They
// belong to one operator, which says how the time goes on by Old.
type Ages struct {
	// Keep is the time to live in milliseconds; 0: for ever, and there is no column.
	Keep int64
	// Column is the place of Touched among the table's values.
	Column int

	now, swept int64 // of the last tick, and of the last one at which groups were looked at
}

// Touch notes that something came for the groups of slots, which may come several times.
func (a *Ages) Touch(rows state.Rows, slots []int32) {
	if a.Keep == 0 {
		return
	}
	rows.Touch(slots)
	at := rows.Values()[a.Column]
	for _, x := range slots {
		at.Int64[x], at.Valid[x] = a.now, true
	}
}

// Old is told the time. It returns the slots of groups that nothing has come for since the
// time to live, in a table that is not evictable; not every time, for it looks at all.
// Groups that came before the first tick are as old as that.
func (a *Ages) Old(now time.Time, rows state.Rows) ([]int32, error) {
	a.now = now.UnixMilli()
	if a.Keep == 0 || a.now-a.swept < min(max(a.Keep/sweeps, 1000), a.Keep) {
		return nil, nil
	}
	a.swept = a.now
	var old, fresh []int32
	err := rows.Each(func(v state.View, from, to int) error {
		at := v.Values()[a.Column].Int64
		for x := from; x < to; x++ {
			switch {
			case at[x] == 0:
				fresh = append(fresh, int32(x))
			case at[x] <= a.now-a.Keep:
				old = append(old, int32(x))
			}
		}
		return nil
	})
	a.Touch(rows, fresh)
	return old, err
}
