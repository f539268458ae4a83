package gen

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
)

// columns hands out the builders of a batch. Asking for another type than the
// schema's is a mistake of this package, and panics.
type columns struct{ *array.RecordBuilder }

func (c columns) key(i int) *array.Int64Builder    { return c.Field(i).(*array.Int64Builder) }
func (c columns) number(i int) *array.Int32Builder { return c.Field(i).(*array.Int32Builder) }
func (c columns) date(i int) *array.Date32Builder  { return c.Field(i).(*array.Date32Builder) }
func (c columns) text(i int) text                  { return text{c.Field(i).(*array.StringBuilder)} }

func (c columns) money(i int) money { return money{c.Field(i).(*array.Decimal64Builder)} }

// text is a column of strings that are built as bytes or already there.
type text struct{ *array.StringBuilder }

func (t text) bytes(b []byte) { t.BinaryBuilder.Append(b) }

// money is a column of amounts with two digits after the point, given in cents.
type money struct{ *array.Decimal64Builder }

func (m money) cents(n int64) { m.Append(decimal.Decimal64(n)) }

func day(n int64) arrow.Date32 { return arrow.Date32(n) }
