package rows

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// Tag is the key of field tags: `tidemill:"name"`, `tidemill:"name,TIMESTAMP(6)"`, or "-"
// for a field that is no column.
const Tag = "tidemill"

// Scalar is the name of the column of a type that is no struct.
const Scalar = "value"

// form is how a field lies in memory.
type form uint8

const (
	invalidForm form = iota
	boolForm
	int8Form
	int16Form
	int32Form
	int64Form
	float32Form
	float64Form
	stringForm
	bytesForm
	timeForm
)

// field is a column and where it is in a value.
type field struct {
	name   string
	typ    datatype.Type
	form   form
	offset uintptr
	null   bool // it is a pointer; nil is NULL
}

// Codec maps values of T. It is immutable.
type Codec[T any] struct {
	fields []field
	schema datatype.Schema
	stride uintptr
}

// Of returns the codec of T. Its error says which field has no column type.
func Of[T any]() (*Codec[T], error) {
	t := reflect.TypeFor[T]()
	c := &Codec[T]{stride: t.Size()}
	if t.Kind() == reflect.Struct && t != timeType {
		if err := c.structFields(t); err != nil {
			return nil, failure.Errorf(failure.Usage, "rows of %v: %w", t, err)
		}
	} else {
		f, err := fieldOf(Scalar, t, "")
		if err != nil {
			return nil, failure.Errorf(failure.Usage, "values of %v: %w", t, err)
		}
		c.fields = []field{f}
	}
	for _, f := range c.fields {
		c.schema = append(c.schema, datatype.Field{Name: f.name, Type: f.typ})
	}
	return c, nil
}

// Schema is the columns of T; it is not to be changed.
func (c *Codec[T]) Schema() datatype.Schema { return c.schema }

func (c *Codec[T]) structFields(t reflect.Type) error {
	seen := map[string]bool{}
	for f := range t.Fields() {
		name, sql, _ := strings.Cut(f.Tag.Get(Tag), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if seen[name] {
			return fmt.Errorf("two fields are column %s", name)
		}
		seen[name] = true
		column, err := fieldOf(name, f.Type, sql)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		column.offset = f.Offset
		c.fields = append(c.fields, column)
	}
	if len(c.fields) == 0 {
		return fmt.Errorf("there is no exported field")
	}
	return nil
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

// plain are the types of the kinds that have one each.
var plain = map[reflect.Kind]struct {
	form form
	kind datatype.Kind
}{
	reflect.Bool:    {boolForm, datatype.Boolean},
	reflect.Int8:    {int8Form, datatype.TinyInt},
	reflect.Int16:   {int16Form, datatype.SmallInt},
	reflect.Int32:   {int32Form, datatype.Int},
	reflect.Int64:   {int64Form, datatype.BigInt},
	reflect.Float32: {float32Form, datatype.Float},
	reflect.Float64: {float64Form, datatype.Double},
	reflect.String:  {stringForm, datatype.Varchar},
}

// fieldOf is the column of a Go type; sql, unless empty, is the column's type.
func fieldOf(name string, t reflect.Type, sql string) (field, error) {
	f := field{name: name}
	if t.Kind() == reflect.Pointer {
		f.null, t = true, t.Elem()
	}
	switch p, ok := plain[t.Kind()]; {
	case ok:
		f.form, f.typ = p.form, datatype.Of(p.kind)
	case t.Kind() == reflect.Int && t.Size() == 8:
		f.form, f.typ = int64Form, datatype.Of(datatype.BigInt)
	case t == timeType:
		f.form, f.typ = timeForm, datatype.Of(datatype.Timestamp).WithPrecision(3)
	case t.Kind() == reflect.Slice && t.Elem() == bytesType.Elem():
		f.form, f.typ = bytesForm, datatype.Of(datatype.Varbinary)
	default:
		return f, fmt.Errorf("type %v has no column type: there are integers, floats, bool, string, []byte, time.Time and pointers to them", t)
	}
	if sql != "" {
		wanted, err := datatype.Parse(sql)
		if err != nil {
			return f, err
		}
		if !f.form.holds(wanted) {
			return f, fmt.Errorf("type %v does not hold %s", t, wanted)
		}
		f.typ = wanted
	}
	f.typ = f.typ.WithNull(f.null)
	return f, nil
}

// holds says that values of a form are those of a column type.
func (f form) holds(t datatype.Type) bool {
	switch f {
	case timeForm:
		return t.IsTimestamp()
	case stringForm:
		return t.IsString()
	case bytesForm:
		return t.IsBinary()
	case int32Form:
		return t.Kind == datatype.Int || t.Kind == datatype.Date
	default:
		for _, p := range plain {
			if p.form == f {
				return p.kind == t.Kind
			}
		}
		return false
	}
}
