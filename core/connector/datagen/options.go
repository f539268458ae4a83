package datagen

import (
	"math"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/option"
	"github.com/tidemill/tidemill/core/datatype"
)

// Name is the value of the 'connector' option.
const Name = "datagen"

const (
	defaultRate   = 10000
	defaultLength = 100
	maxLength     = 1 << 20
	maxRows       = math.MaxInt64 / 2
)

// table is a table's options, read.
type table struct {
	rate   int64
	rows   int64 // -1: unbounded
	fields map[string]field
}

// field says how one column is generated.
type field struct {
	column   datatype.Field
	index    uint64 // of the column in the table: makes columns differ
	sequence bool
	min, max int64 // of sequences and random integers
	low, up  float64
	length   int
	varLen   bool
	maxPast  time.Duration
	nullRate float64
}

func parse(t connector.Table) (table, error) {
	p := parser{option.New(t)}
	out := table{rate: p.Integer("rows-per-second", defaultRate, 0, 1<<40), rows: p.Integer("number-of-rows", -1, 0, maxRows), fields: map[string]field{}}
	for i, c := range t.Schema {
		f := p.field(c)
		f.index = uint64(i)
		out.fields[c.Name] = f
	}
	if len(t.Schema) == 0 {
		p.Fail("a table needs columns")
	}
	return out, p.End(Name)
}

// parser also takes the options of columns.
type parser struct{ *option.Parser }

func (p *parser) field(c datatype.Field) field {
	prefix := "fields." + c.Name + "."
	f := field{column: c, nullRate: p.Real(prefix+"null-rate", 0, 0, 1)}
	if f.nullRate > 0 && !c.Type.Nullable {
		p.Fail("option '%snull-rate': column %s is NOT NULL", prefix, c.Name)
	}
	switch kind, _ := p.Take(prefix + "kind"); kind {
	case "", "random":
		p.random(&f, prefix)
	case "sequence":
		p.sequence(&f, prefix)
	default:
		p.Fail("option '%skind': %q is not random or sequence", prefix, kind)
	}
	return f
}

func (p *parser) sequence(f *field, prefix string) {
	if !f.column.Type.IsInteger() {
		p.Fail("column %s: a sequence must be an integer, not %s", f.column.Name, f.column.Type)
	}
	least, most := bounds(f.column.Type)
	f.sequence = true
	f.min = p.Integer(prefix+"start", 0, least, most)
	f.max = p.Integer(prefix+"end", most, f.min, most)
}

func (p *parser) random(f *field, prefix string) {
	t := f.column.Type
	switch {
	case t.IsInteger():
		least, most := bounds(t)
		f.min = p.Integer(prefix+"min", least, least, most)
		f.max = p.Integer(prefix+"max", most, f.min, most)
	case t.Is(datatype.Float, datatype.Double):
		f.low = p.Real(prefix+"min", 0, -math.MaxFloat64, math.MaxFloat64)
		f.up = p.Real(prefix+"max", 1, f.low, math.MaxFloat64)
	case t.IsString() || t.IsBinary():
		def := int64(min(t.Precision, defaultLength))
		f.length = int(p.Integer(prefix+"length", def, 1, int64(min(t.Precision, maxLength))))
		v, _ := p.Take(prefix + "var-len")
		f.varLen = strings.EqualFold(v, "true")
	case t.IsTimestamp() || t.Kind == datatype.Date:
		if text, ok := p.Take(prefix + "max-past"); ok {
			var err error
			if f.maxPast, err = config.ParseDuration(text); err != nil {
				p.Fail("option '%smax-past': %w", prefix, err)
			}
		}
	case t.Kind == datatype.Boolean:
	case t.Kind == datatype.Decimal && t.Precision <= datatype.MaxDecimal64Precision:
		most := int64(math.Pow10(t.Precision)) - 1
		f.min, f.max = 0, most
	default:
		p.Fail("column %s: connector %s cannot generate %s", f.column.Name, Name, t)
	}
}

func bounds(t datatype.Type) (least, most int64) {
	switch t.Kind {
	case datatype.TinyInt:
		return math.MinInt8, math.MaxInt8
	case datatype.SmallInt:
		return math.MinInt16, math.MaxInt16
	case datatype.Int:
		return math.MinInt32, math.MaxInt32
	default:
		return math.MinInt64, math.MaxInt64
	}
}
