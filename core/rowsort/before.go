package rowsort

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
)

// Before selects the rows of record, of those in sel (nil: all), that come before
// row bound of another record with the same columns. Most rows are decided by
// the prefix of the first key; only the others are compared.
func Before(record arrow.RecordBatch, sel []int32, other arrow.RecordBatch, bound int, keys []Key) ([]int32, error) {
	if len(keys) == 0 {
		return []int32{}, nil // all rows are equal
	}
	comparers, err := Comparers(record, other, keys)
	if err != nil {
		return nil, err
	}
	first := keys[0]
	edge := compute.Slice(other.Column(first.Column), bound, bound+1)
	defer edge.Release()
	limits, _ := prefixes(edge, first.Order)
	limit := limits[0].prefix
	entries, exact := prefixes(record.Column(first.Column), first.Order)
	exact = exact && edge.NullN() == 0
	out := make([]int32, 0, 64)
	decide := func(r int32) {
		if e := entries[r].prefix; e < limit && exact || e <= limit && Compare(comparers, int(r), bound) < 0 {
			out = append(out, r)
		}
	}
	if sel != nil {
		for _, r := range sel {
			decide(r)
		}
		return out, nil
	}
	for i := range entries {
		if entries[i].prefix <= limit {
			decide(int32(i))
		}
	}
	return out, nil
}
