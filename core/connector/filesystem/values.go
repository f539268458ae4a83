package filesystem

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// Layouts of partition values in directory names.
const (
	dateLayout      = "2006-01-02"
	timestampLayout = "2006-01-02 15:04:05.999999999"
)

// partitionable reports whether a type can be spelled in a directory name.
func partitionable(t datatype.Type) bool {
	return t.Is(datatype.Boolean, datatype.Date, datatype.Timestamp, datatype.Float, datatype.Double) || t.IsInteger() || t.IsString()
}

// parseValue reads a directory's text as a literal in the physical form of t.
func parseValue(v fs.PartitionValue, t datatype.Type) (any, error) {
	if v.Null {
		return nil, nil
	}
	parsed, err := parseText(v.Value, t)
	if err != nil {
		return nil, failure.Errorf(failure.BadData, "partition %s=%s: %q is not %s", v.Key, v.Value, v.Value, t.WithNull(true))
	}
	return parsed, nil
}

func parseText(s string, t datatype.Type) (any, error) {
	switch {
	case t.IsString():
		return s, nil
	case t.IsInteger():
		return strconv.ParseInt(s, 10, integerBits(t.Kind))
	case t.Is(datatype.Float, datatype.Double):
		return strconv.ParseFloat(s, 64)
	case t.Kind == datatype.Boolean:
		return strconv.ParseBool(strings.ToLower(s))
	case t.Kind == datatype.Date:
		d, err := time.Parse(dateLayout, s)
		return d.Unix() / 86400, err
	case t.Kind == datatype.Timestamp:
		d, err := time.Parse(timestampLayout, s)
		return timestampValue(d, t), err
	default:
		return nil, fmt.Errorf("%s cannot be a partition column", t)
	}
}

func integerBits(k datatype.Kind) int {
	return map[datatype.Kind]int{datatype.TinyInt: 8, datatype.SmallInt: 16, datatype.Int: 32, datatype.BigInt: 64}[k]
}

func timestampValue(d time.Time, t datatype.Type) int64 {
	switch datatype.TimestampUnit(t.Precision) {
	case arrow.Millisecond:
		return d.UnixMilli()
	case arrow.Microsecond:
		return d.UnixMicro()
	default:
		return d.UnixNano()
	}
}

// inferType guesses a partition column's type from all its texts: BIGINT, DATE,
// else STRING.
func inferType(texts []fs.PartitionValue) datatype.Type {
	for _, t := range []datatype.Type{datatype.Of(datatype.BigInt), datatype.Of(datatype.Date)} {
		fits := true
		for _, v := range texts {
			if _, err := parseText(v.Value, t); err != nil && !v.Null {
				fits = false
				break
			}
		}
		if fits {
			return t
		}
	}
	return datatype.Of(datatype.Varchar)
}

// constant returns an array of n times value, which is in t's physical form.
// Strings become a dictionary of one entry.
func constant(alloc memory.Allocator, t datatype.Type, value any, n int) (arrow.Array, error) {
	if s, ok := value.(string); ok {
		return constantText(alloc, s, n), nil
	}
	return compute.Constant(alloc, t, value, n)
}

func constantText(alloc memory.Allocator, s string, n int) arrow.Array {
	words := array.NewStringBuilder(alloc)
	defer words.Release()
	words.Append(s)
	dict := words.NewArray()
	defer dict.Release()
	ints := array.NewInt32Builder(alloc)
	defer ints.Release()
	ints.Reserve(n)
	for range n {
		ints.UnsafeAppend(0)
	}
	indexes := ints.NewArray()
	defer indexes.Release()
	kind := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	return array.NewDictionaryArray(kind, indexes, dict)
}

// spell returns the directory text of row i of a partition column.
func spell(column arrow.Array, i int, t datatype.Type) (text string, null bool) {
	if column.IsNull(i) {
		return "", true
	}
	switch a := column.(type) {
	case *array.Dictionary:
		return spell(a.Dictionary(), a.GetValueIndex(i), t)
	case *array.Timestamp:
		return a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit).UTC().Format(timestampLayout), false
	default:
		return column.ValueStr(i), false
	}
}
