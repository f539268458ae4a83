package parquet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/suggest"
)

// schemaBuilder makes the Parquet schema of a table and what writes each node
// of it.
type schemaBuilder struct {
	opts     writeOptions
	scratch  *scratch
	alloc    memory.Allocator
	elements []format.SchemaElement // the tree, depth first
	fields   []*writeNode
	leaves   []columnWriter
	filters  []string // columns that have one
}

func (b *schemaBuilder) build(schema datatype.Schema) error {
	b.elements = []format.SchemaElement{{Name: "schema", NumChildren: thrift.New(int32(len(schema)))}}
	for _, f := range schema {
		n, err := b.node(f, place{})
		if err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
		b.fields = append(b.fields, n)
	}
	for _, name := range b.opts.bloom {
		if !slices.Contains(b.filters, name) {
			hint := ""
			if near := suggest.Closest(name, b.filters); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return failure.Errorf(failure.Usage, "parquet.bloom.columns: there is no column %s that can have a bloom filter%s", name, hint)
		}
	}
	return nil
}

// place is where a node is: its parents' names and levels.
type place struct {
	path     []string
	def, rep int
}

func (p place) below(name string, def, rep int) place {
	return place{path: append(slices.Clone(p.path), name), def: p.def + def, rep: p.rep + rep}
}

// node describes a value. Lists have three levels, as the format wants:
//
//	group a (LIST) { repeated group list { element } }
//	group m (MAP) { repeated group key_value { required key; value } }
func (b *schemaBuilder) node(f datatype.Field, p place) (*writeNode, error) {
	t := f.Type
	n := &writeNode{typ: t, name: f.Name}
	if len(p.path) > maxSchemaDepth-2 {
		return nil, failure.Errorf(failure.Usage, "writing types nested deeper than %d levels to Parquet is not supported", maxSchemaDepth-2)
	}
	def := 0
	if t.Nullable {
		def = 1
	}
	p = p.below(f.Name, def, 0)
	var children []datatype.Field
	var logical format.LogicalTypeValue
	repeated, converted := "", deprecated.ConvertedType(-1)
	switch t.Kind {
	case datatype.Array:
		children, repeated = []datatype.Field{{Name: "element", Type: *t.Elem}}, "list"
		logical, converted = &format.ListType{}, deprecated.List
	case datatype.Map:
		children, repeated = []datatype.Field{{Name: "key", Type: t.Key.NotNull()}, {Name: "value", Type: *t.Elem}}, "key_value"
		logical, converted = &format.MapType{}, deprecated.Map
	case datatype.Row:
		if children = t.Fields; len(children) == 0 {
			return nil, failure.Errorf(failure.Usage, "writing a ROW without fields to Parquet is not supported")
		}
		if err := checkUnique(t.Fields); err != nil {
			return nil, err
		}
	default:
		return n, b.scalar(n, p)
	}
	b.group(f.Name, repetition(t), 1, logical, converted)
	if repeated == "" {
		b.elements[len(b.elements)-1].NumChildren = thrift.New(int32(len(children)))
	} else {
		b.group(repeated, format.Repeated, len(children), nil, -1)
		p = p.below(repeated, 1, 1)
		n.rep = p.rep
	}
	n.slots.use(b.alloc)
	for _, c := range children {
		child, err := b.node(c, p)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, child)
	}
	return n, nil
}

func (b *schemaBuilder) group(name string, r format.FieldRepetitionType, children int, l format.LogicalTypeValue, c deprecated.ConvertedType) {
	e := format.SchemaElement{Name: name, RepetitionType: thrift.New(r), NumChildren: thrift.New(int32(children))}
	e.LogicalType.Value = l
	if c >= 0 {
		e.ConvertedType = thrift.New(c)
	}
	b.elements = append(b.elements, e)
}

func (b *schemaBuilder) scalar(n *writeNode, p place) error {
	e, err := schemaElement(datatype.Field{Name: n.name, Type: n.typ})
	if err != nil {
		return err
	}
	b.elements = append(b.elements, e)
	l := leafColumn{path: p.path, physical: e.Type.V, maxDef: p.def, maxRep: p.rep}
	if name := strings.Join(p.path, "."); l.physical != format.Boolean && n.typ.Kind != datatype.Null {
		b.filters = append(b.filters, name)
		l.bloom = slices.Contains(b.opts.bloom, name)
	}
	n.leaf = newColumnWriter(n.typ, l, b.scratch, b.opts.dictionary, b.alloc)
	n.slots.use(b.alloc)
	b.leaves = append(b.leaves, n.leaf)
	return nil
}

func repetition(t datatype.Type) format.FieldRepetitionType {
	if t.Nullable {
		return format.Optional
	}
	return format.Required
}

func schemaElement(f datatype.Field) (format.SchemaElement, error) {
	t := f.Type
	e := format.SchemaElement{Name: f.Name, RepetitionType: thrift.New(repetition(t))}
	is := func(physical format.Type, logical format.LogicalTypeValue, converted deprecated.ConvertedType) {
		e.Type = thrift.New(physical)
		e.LogicalType.Value = logical
		if converted >= 0 {
			e.ConvertedType = thrift.New(converted)
		}
	}
	switch t.Kind {
	case datatype.Null:
		is(format.Int32, &format.NullType{}, -1)
	case datatype.Boolean:
		is(format.Boolean, nil, -1)
	case datatype.TinyInt:
		is(format.Int32, &format.IntType{BitWidth: 8, IsSigned: true}, deprecated.Int8)
	case datatype.SmallInt:
		is(format.Int32, &format.IntType{BitWidth: 16, IsSigned: true}, deprecated.Int16)
	case datatype.Int:
		is(format.Int32, &format.IntType{BitWidth: 32, IsSigned: true}, deprecated.Int32)
	case datatype.BigInt:
		is(format.Int64, &format.IntType{BitWidth: 64, IsSigned: true}, deprecated.Int64)
	case datatype.Float:
		is(format.Float, nil, -1)
	case datatype.Double:
		is(format.Double, nil, -1)
	case datatype.Char, datatype.Varchar:
		is(format.ByteArray, &format.StringType{}, deprecated.UTF8)
	case datatype.Binary, datatype.Varbinary:
		is(format.ByteArray, nil, -1)
	case datatype.Date:
		is(format.Int32, &format.DateType{}, deprecated.Date)
	case datatype.Decimal:
		decimalElement(&e, t)
	case datatype.Time, datatype.Timestamp, datatype.TimestampLTZ:
		timeElement(&e, t)
	default:
		return e, failure.Errorf(failure.Usage, "writing %s to Parquet is not supported", t)
	}
	return e, nil
}

func decimalElement(e *format.SchemaElement, t datatype.Type) {
	p, s := int32(t.Precision), int32(t.Scale)
	switch {
	case p <= 9:
		e.Type = thrift.New(format.Int32)
	case p <= datatype.MaxDecimal64Precision:
		e.Type = thrift.New(format.Int64)
	default:
		e.Type = thrift.New(format.FixedLenByteArray)
		e.TypeLength = thrift.New(int32(16))
	}
	e.LogicalType.Value = &format.DecimalType{Precision: p, Scale: s}
	e.ConvertedType = thrift.New(deprecated.Decimal)
	e.Precision, e.Scale = thrift.New(p), thrift.New(s)
}

// timeElement describes TIME and TIMESTAMP. The converted types mean instants,
// so local times get none.
func timeElement(e *format.SchemaElement, t datatype.Type) {
	unit := format.TimeUnit{Value: &format.MilliSeconds{}}
	converted := deprecated.TimestampMillis
	switch {
	case t.Precision > 6:
		unit.Value, converted = &format.NanoSeconds{}, -1
	case t.Precision > 3:
		unit.Value, converted = &format.MicroSeconds{}, deprecated.TimestampMicros
	}
	e.Type = thrift.New(format.Int64)
	if t.Kind == datatype.Time {
		if t.Precision <= 3 {
			e.Type = thrift.New(format.Int32)
		}
		e.LogicalType.Value = &format.TimeType{Unit: unit}
		return
	}
	utc := t.Kind == datatype.TimestampLTZ
	e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: utc, Unit: unit}
	if utc && converted >= 0 {
		e.ConvertedType = thrift.New(converted)
	}
}

// checkUnique refuses two columns of one name, which no reader could tell apart.
func checkUnique(schema datatype.Schema) error {
	seen := map[string]bool{}
	for _, f := range schema {
		if seen[f.Name] {
			return failure.Wrap(failure.Usage, fmt.Errorf("two columns are called %s", f.Name))
		}
		seen[f.Name] = true
	}
	return nil
}
