package state

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
)

// PieceSchema is the columns of a piece of a table.
func PieceSchema(t TableSpec, k Kind) *arrow.Schema {
	number := datatype.Of(datatype.BigInt).NotNull()
	s := datatype.Schema{{Name: "namespace", Type: number}}
	if k != DropSpace {
		s = append(s, t.Keys...)
	}
	switch k {
	case RemoveRow:
		s = append(s, datatype.Field{Name: "sequence", Type: number})
	case PutKey:
		s = append(s, t.Values...)
	case PutRow:
		s = append(append(s, datatype.Field{Name: "sequence", Type: number}), t.List...)
	}
	for i := range s {
		s[i].Type = s[i].Type.WithNull(i > 0) // a value that was never set is null
	}
	return s.Arrow()
}
