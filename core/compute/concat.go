package compute

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Decode returns arr without dictionary encoding; a plain array is returned
// itself with another reference.
func Decode(mem memory.Allocator, arr arrow.Array) (arrow.Array, error) {
	d, ok := arr.(*array.Dictionary)
	if !ok {
		arr.Retain()
		return arr, nil
	}
	return TakeOrNull(mem, d.Dictionary(), DictionaryRows(d, nil))
}

// DecodedSchema is a schema with the values' types for encoded columns: of records
// that may be encoded or not.
func DecodedSchema(schema *arrow.Schema) *arrow.Schema {
	fields := schema.Fields()
	for i, f := range fields {
		if d, ok := f.Type.(*arrow.DictionaryType); ok {
			fields[i].Type = d.ValueType
		}
	}
	return arrow.NewSchema(fields, nil)
}

// DictionaryRows returns the dictionary index of every row of sel (nil: of all),
// and -1 where the row is null.
func DictionaryRows(d *array.Dictionary, sel []int32) []int32 {
	return dictionaryRows(d.Data(), bytesOf(d.DataType().(*arrow.DictionaryType).IndexType), sel)
}

// unifyFactor is how many rows there must be for each value of the dictionaries of
// arrays that are concatenated, for these to be worth unifying.
const unifyFactor = 8

// Concat returns the rows of arrs one after the other; they have the same type
// but for the encoding. Arrays that share one dictionary keep it. Several
// dictionaries are unified where they are short beside the rows; else, and beside
// a plain array, rows are decoded. It fails with ErrTooLarge where the rows have more
// text, or more elements, than one array can hold.
func Concat(mem memory.Allocator, arrs []arrow.Array) (arrow.Array, error) {
	switch plain := countPlain(arrs); {
	case len(arrs) == 0:
		return nil, fmt.Errorf("concatenate no arrays: their type is unknown")
	case len(arrs) == 1:
		arrs[0].Retain()
		return arrs[0], nil
	case plain == 0 && shareDictionary(arrs):
		return concatIndexes(mem, arrs)
	case plain == 0:
		return concatEncoded(mem, arrs)
	case plain < len(arrs):
		return concatDecoded(mem, arrs)
	}
	return concatSame(mem, arrs)
}

func concatDecoded(mem memory.Allocator, arrs []arrow.Array) (arrow.Array, error) {
	decoded := make([]arrow.Array, 0, len(arrs))
	defer func() { ReleaseAll(decoded) }()
	for _, a := range arrs {
		d, err := Decode(mem, a)
		if err != nil {
			return nil, err
		}
		decoded = append(decoded, d)
	}
	return concatSame(mem, decoded)
}

// concatEncoded is Concat for several dictionaries, of which many arrays may share
// one: each is looked at once.
func concatEncoded(mem memory.Allocator, arrs []arrow.Array) (arrow.Array, error) {
	places := map[arrow.ArrayData][]int32{}
	rows, values := 0, 0
	for _, a := range arrs {
		d := a.Data().Dictionary()
		if _, known := places[d]; !known {
			places[d] = nil
			values += d.Len()
		}
		rows += a.Len()
	}
	if values > rows/unifyFactor {
		return concatDecoded(mem, arrs)
	}
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrs[0].DataType().(*arrow.DictionaryType).ValueType}
	unifier, err := array.NewDictionaryUnifier(mem, typ.ValueType)
	if err != nil {
		return nil, fmt.Errorf("unify %d dictionaries: %w", len(places), err)
	}
	defer unifier.Release()
	index := array.NewInt32Builder(mem)
	defer index.Release()
	index.Reserve(rows)
	for _, a := range arrs {
		d := a.(*array.Dictionary)
		to := places[a.Data().Dictionary()]
		if to == nil {
			if to, err = unify(unifier, d.Dictionary()); err != nil {
				return nil, fmt.Errorf("unify %d dictionaries: %w", len(places), err)
			}
			places[a.Data().Dictionary()] = to
		}
		for _, at := range DictionaryRows(d, nil) {
			if at < 0 {
				index.UnsafeAppendBoolToBitmap(false)
				continue
			}
			index.UnsafeAppend(to[at])
		}
	}
	all, err := unifier.GetResultWithIndexType(typ.IndexType)
	if err != nil {
		return nil, fmt.Errorf("unify %d dictionaries: %w", len(places), err)
	}
	defer all.Release()
	indexes := index.NewInt32Array()
	defer indexes.Release()
	return array.NewDictionaryArray(typ, indexes, all), nil
}

// unify adds a dictionary and returns where its values are now.
func unify(u array.DictionaryUnifier, dictionary arrow.Array) ([]int32, error) {
	buf, err := u.UnifyAndTranspose(dictionary)
	if err != nil {
		return nil, err
	}
	defer buf.Release()
	return append(make([]int32, 0, dictionary.Len()+1), arrow.Int32Traits.CastFromBytes(buf.Bytes())...), nil
}

func concatSame(mem memory.Allocator, arrs []arrow.Array) (arrow.Array, error) {
	if err := checkConcat(arrs, maxOffset); err != nil {
		return nil, fmt.Errorf("concatenate %d arrays: %w", len(arrs), err)
	}
	out, err := array.Concatenate(arrs, mem)
	if err != nil {
		return nil, fmt.Errorf("concatenate %d arrays of %s: %w", len(arrs), arrs[0].DataType(), err)
	}
	return out, nil
}

func countPlain(arrs []arrow.Array) int {
	n := 0
	for _, a := range arrs {
		if _, dictionary := a.(*array.Dictionary); !dictionary {
			n++
		}
	}
	return n
}

func shareDictionary(arrs []arrow.Array) bool {
	first := arrs[0].Data().Dictionary()
	for _, a := range arrs[1:] {
		if a.Data().Dictionary() != first || !arrow.TypeEqual(a.DataType(), arrs[0].DataType()) {
			return false
		}
	}
	return true
}

func concatIndexes(mem memory.Allocator, arrs []arrow.Array) (arrow.Array, error) {
	indexes := make([]arrow.Array, len(arrs))
	for i, a := range arrs {
		indexes[i] = a.(*array.Dictionary).Indices()
	}
	all, err := concatSame(mem, indexes)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	first := arrs[0].(*array.Dictionary)
	return array.NewDictionaryArray(first.DataType(), all, first.Dictionary()), nil
}

// ConcatRecords returns the rows of records, which have the same columns but for
// their encoding, as one record.
func ConcatRecords(mem memory.Allocator, records []arrow.RecordBatch) (arrow.RecordBatch, error) {
	if len(records) == 1 {
		records[0].Retain()
		return records[0], nil
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("concatenate no records: their schema is unknown")
	}
	columns := make([]arrow.Array, records[0].NumCols())
	defer func() { ReleaseAll(columns) }()
	fields := append([]arrow.Field(nil), records[0].Schema().Fields()...)
	parts := make([]arrow.Array, len(records))
	rows := int64(0)
	for _, r := range records {
		rows += r.NumRows()
	}
	for c := range columns {
		for i, r := range records {
			parts[i] = r.Column(c)
		}
		joined, err := Concat(mem, parts)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", fields[c].Name, err)
		}
		columns[c], fields[c].Type = joined, joined.DataType()
	}
	metadata := records[0].Schema().Metadata()
	return array.NewRecordBatch(arrow.NewSchema(fields, &metadata), columns, rows), nil
}
