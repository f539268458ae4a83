package datagen

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/suggest"
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
	p := parser{table: t, left: maps.Clone(t.Options)}
	delete(p.left, "connector")
	out := table{rate: p.integer("rows-per-second", defaultRate, 0, 1<<40), rows: p.integer("number-of-rows", -1, 0, maxRows), fields: map[string]field{}}
	for i, c := range t.Schema {
		f := p.field(c)
		f.index = uint64(i)
		out.fields[c.Name] = f
	}
	if p.err == nil && len(t.Schema) == 0 {
		p.fail("a table needs columns")
	}
	if p.err == nil && len(p.left) > 0 {
		p.unknown()
	}
	return out, p.err
}

// parser takes options one by one and keeps the first error.
type parser struct {
	table connector.Table
	left  map[string]string
	asked []string
	err   error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = failure.Errorf(failure.InvalidSQL, "table %s: %w", p.table.Name, fmt.Errorf(format, args...))
	}
}

func (p *parser) take(key string) (string, bool) {
	p.asked = append(p.asked, key)
	v, ok := p.left[key]
	delete(p.left, key)
	return v, ok
}

func (p *parser) unknown() {
	key := slices.Min(slices.Collect(maps.Keys(p.left)))
	hint := ""
	if near := suggest.Closest(key, p.asked); near != "" {
		hint = "; did you mean '" + near + "'?"
	}
	p.fail("unknown option '%s' of connector %s%s", key, Name, hint)
}

func (p *parser) integer(key string, def, least, most int64) int64 {
	text, ok := p.take(key)
	if !ok {
		return def
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		p.fail("option '%s': %q is not a whole number from %d to %d", key, text, least, most)
	}
	return n
}

func (p *parser) real(key string, def, least, most float64) float64 {
	text, ok := p.take(key)
	if !ok {
		return def
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= least && x <= most) {
		p.fail("option '%s': %q is not a number from %g to %g", key, text, least, most)
	}
	return x
}

func (p *parser) field(c datatype.Field) field {
	prefix := "fields." + c.Name + "."
	f := field{column: c, nullRate: p.real(prefix+"null-rate", 0, 0, 1)}
	if f.nullRate > 0 && !c.Type.Nullable {
		p.fail("option '%snull-rate': column %s is NOT NULL", prefix, c.Name)
	}
	switch kind, _ := p.take(prefix + "kind"); kind {
	case "", "random":
		p.random(&f, prefix)
	case "sequence":
		p.sequence(&f, prefix)
	default:
		p.fail("option '%skind': %q is not random or sequence", prefix, kind)
	}
	return f
}

func (p *parser) sequence(f *field, prefix string) {
	if !f.column.Type.IsInteger() {
		p.fail("column %s: a sequence must be an integer, not %s", f.column.Name, f.column.Type)
	}
	least, most := bounds(f.column.Type)
	f.sequence = true
	f.min = p.integer(prefix+"start", 0, least, most)
	f.max = p.integer(prefix+"end", most, f.min, most)
}

func (p *parser) random(f *field, prefix string) {
	t := f.column.Type
	switch {
	case t.IsInteger():
		least, most := bounds(t)
		f.min = p.integer(prefix+"min", least, least, most)
		f.max = p.integer(prefix+"max", most, f.min, most)
	case t.Is(datatype.Float, datatype.Double):
		f.low = p.real(prefix+"min", 0, -math.MaxFloat64, math.MaxFloat64)
		f.up = p.real(prefix+"max", 1, f.low, math.MaxFloat64)
	case t.IsString() || t.IsBinary():
		def := int64(min(t.Precision, defaultLength))
		f.length = int(p.integer(prefix+"length", def, 1, int64(min(t.Precision, maxLength))))
		v, _ := p.take(prefix + "var-len")
		f.varLen = strings.EqualFold(v, "true")
	case t.IsTimestamp() || t.Kind == datatype.Date:
		if text, ok := p.take(prefix + "max-past"); ok {
			var err error
			if f.maxPast, err = config.ParseDuration(text); err != nil {
				p.fail("option '%smax-past': %w", prefix, err)
			}
		}
	case t.Kind == datatype.Boolean:
	case t.Kind == datatype.Decimal && t.Precision <= datatype.MaxDecimal64Precision:
		most := int64(math.Pow10(t.Precision)) - 1
		f.min, f.max = 0, most
	default:
		p.fail("column %s: connector %s cannot generate %s", f.column.Name, Name, t)
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
