package expr

import (
	"errors"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
)

// RowError is an error that one row raised: a cast or a division that fails.
type RowError struct {
	Row int // physical, of the batch
	err error
}

// Error implements error: the error alone.
func (e *RowError) Error() string { return e.err.Error() }

// Unwrap returns what the row raised.
func (e *RowError) Unwrap() error { return e.err }

// atRow says which row raised an error, unless it is a constant's.
func (k *call) atRow(r int32, err error) error {
	if k.out.constant {
		return err
	}
	return &RowError{Row: int(r), err: err}
}

// The most columns, and bytes of each, that are shown of a row.
const (
	shownColumns = 8
	shownBytes   = 40
)

// InRow adds the values of the row that raised err, if one did: at says where in
// columns, of which some may be nil, that row of the batch is.
func InRow(err error, schema *arrow.Schema, columns []arrow.Array, at func(row int) int) error {
	var raised *RowError
	if !errors.As(err, &raised) {
		return err
	}
	row, shown := at(raised.Row), []string{}
	for i, c := range columns {
		if c == nil || i >= schema.NumFields() || len(shown) == shownColumns {
			continue
		}
		shown = append(shown, schema.Field(i).Name+" = "+shorten(c, row))
	}
	if len(shown) == 0 {
		return err
	}
	return failure.Errorf(failure.UserCode, "%w; in the row %s", err, strings.Join(shown, ", "))
}

// shorten prints a value, or its beginning.
func shorten(c arrow.Array, row int) string {
	if c.IsNull(row) {
		return "NULL"
	}
	values := c.DataType()
	if d, ok := values.(*arrow.DictionaryType); ok {
		values = d.ValueType
	}
	switch values.ID() {
	case arrow.LIST, arrow.MAP, arrow.STRUCT:
		return "..."
	case arrow.STRING, arrow.BINARY:
		text := compute.NewTexts(c)
		return strconv.Quote(string(text.At(row)[:min(shownBytes, len(text.At(row)))]))
	}
	return c.ValueStr(row)
}
