package join

import (
	"github.com/apache/arrow-go/v18/arrow"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/operator"
)

// LimitConcat has a join find that more rows than limit are too large for one array.
func LimitConcat(op operator.Operator, limit int64) {
	op.(*Join).concat = func(mem arrowmemory.Allocator, records []arrow.RecordBatch) (arrow.RecordBatch, error) {
		rows := int64(0)
		for _, r := range records {
			rows += r.NumRows()
		}
		if rows > limit && len(records) > 1 {
			return nil, compute.TooLarge("bytes of text", rows)
		}
		return compute.ConcatRecords(mem, records)
	}
}
