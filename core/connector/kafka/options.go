package kafka

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/option"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// Guarantees of a sink.
type guarantee uint8

const (
	invalidGuarantee guarantee = iota
	none
	atLeastOnce
	exactlyOnce
)

// String is the value of sink.delivery-guarantee.
func (g guarantee) String() string {
	return [...]string{"invalid", "none", "at-least-once", "exactly-once"}[g]
}

// Limits and what is taken where a table does not say.
const (
	defaultDiscovery = 5 * time.Minute
	// patience is how long a reader waits for brokers, and missingPatience for topics that
	// nobody knows any more.
	patience        = 5 * time.Minute
	missingPatience = 30 * time.Second
)

// options are a table's options, read.
type options struct {
	table     connector.Table
	upsert    bool
	topics    []string
	pattern   *regexp.Regexp
	key       *encoding // nil: messages have no key that matters
	value     encoding
	start     position
	end       position // mode unbounded: none
	discovery time.Duration
	guarantee guarantee
	prefix    string
	spread    string // sink.partitioner
	props     properties
}

// encoding is how the key or the value of messages becomes columns.
type encoding struct {
	name    string         // of the format
	format  formats.Format // nil: raw
	options formats.Options
	strict  formats.Options // where bad messages are found by failing
	lenient bool
	columns datatype.Schema // of the table, that it holds
	prefix  string          // of the columns' names, which the format does not see
}

func (o *options) bounded() bool { return o.end.mode != modeUnbounded }

// parser also takes what only this connector has.
type parser struct{ *option.Parser }

func (p *parser) text(key, def string) string {
	if v, ok := p.Take(key); ok {
		return v
	}
	return def
}

func (p *parser) choice(key, def string, from ...string) string {
	v := p.text(key, def)
	for _, known := range from {
		if strings.EqualFold(v, known) {
			return known
		}
	}
	p.Fail("option '%s': %q is not one of %s", key, v, strings.Join(from, ", "))
	return def
}

func (p *parser) duration(key string, def time.Duration) time.Duration {
	v, ok := p.Take(key)
	if !ok {
		return def
	}
	d, err := config.ParseDuration(v)
	if err != nil || d < 0 {
		p.Fail("option '%s': %q is not a time such as 10 s", key, v)
	}
	return d
}

func (p *parser) list(key string) []string {
	var out []string
	for _, v := range strings.Split(p.text(key, ""), ";") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// parse reads a table's options.
func (c *Connector) parse(t connector.Table) (*options, error) {
	p := &parser{option.New(t)}
	o := &options{table: t, upsert: c.upsert, topics: p.list("topic")}
	if v, ok := p.Take("topic-pattern"); ok {
		var err error
		if o.pattern, err = regexp.Compile("^(?:" + v + ")$"); err != nil {
			p.Fail("option 'topic-pattern': %w", err)
		}
	}
	if (len(o.topics) > 0) == (o.pattern != nil) {
		p.Fail("one of the options 'topic' and 'topic-pattern' is needed")
	}
	o.props = p.properties()
	p.encodings(c.formats, o)
	o.start, o.end = p.startup(c.upsert), p.bounds()
	o.discovery = p.duration("scan.topic-partition-discovery.interval", defaultDiscovery)
	for _, key := range []string{"scan.watermark.idle-timeout", "scan.watermark.alignment.max-drift", "scan.watermark.alignment.update-interval"} {
		p.duration(key, 0)
	}
	_, group := p.Take("scan.watermark.alignment.group")
	if _, drift := t.Options["scan.watermark.alignment.max-drift"]; group != drift {
		p.Fail("options 'scan.watermark.alignment.group' and 'scan.watermark.alignment.max-drift' go together")
	}
	switch p.choice("sink.delivery-guarantee", "at-least-once", "none", "at-least-once", "exactly-once") {
	case "none":
		o.guarantee = none
	case "exactly-once":
		o.guarantee = exactlyOnce
	default:
		o.guarantee = atLeastOnce
	}
	o.prefix = p.text("sink.transactional-id-prefix", "")
	o.spread = p.choice("sink.partitioner", "default", "default", "fixed", "round-robin")
	return o, p.End(c.Name())
}

// encodings reads what concerns formats, and shares the columns between key and value.
func (p *parser) encodings(all *formats.Registry, o *options) {
	keyFormat, hasKey := p.Take("key.format")
	keys := p.list("key.fields")
	prefix := p.text("key.fields-prefix", "")
	include := p.choice("value.fields-include", "ALL", "ALL", "EXCEPT_KEY")
	by := "value.format"
	valueFormat, named := p.Take(by)
	if short, ok := p.Take("format"); ok {
		if named {
			p.Fail("options 'format' and 'value.format' mean the same: give one")
		}
		by, valueFormat, named = "format", short, true
	}
	if !named {
		p.Fail("option 'format' is missing")
		return
	}
	if o.upsert {
		if len(keys) > 0 {
			p.Fail("option 'key.fields': with connector %s the primary key is the key", UpsertName)
		}
		keys = p.Table.PrimaryKey
		if len(keys) == 0 {
			p.Fail("connector %s needs a table with a PRIMARY KEY", UpsertName)
		}
		if !hasKey {
			p.Fail("option 'key.format' is missing")
		}
	} else if hasKey != (len(keys) > 0) {
		p.Fail("options 'key.format' and 'key.fields' go together")
	}
	o.value = encoding{columns: p.Table.Schema}
	if hasKey {
		o.key = &encoding{prefix: prefix}
		p.share(o, keys, include == "EXCEPT_KEY")
		p.format(all, o.key, "key.format", keyFormat, "key.")
	} else if include != "ALL" {
		p.Fail("option 'value.fields-include': there is no key")
	}
	p.format(all, &o.value, by, valueFormat, "value.")
}

// share gives the key its columns.
func (p *parser) share(o *options, keys []string, except bool) {
	o.value.columns = nil
	for _, f := range p.Table.Schema {
		inKey := slices.Contains(keys, f.Name)
		if inKey {
			if !strings.HasPrefix(f.Name, o.key.prefix) {
				p.Fail("option 'key.fields': column %s does not begin with %q, as 'key.fields-prefix' says", f.Name, o.key.prefix)
			}
			o.key.columns = append(o.key.columns, f)
		}
		if !inKey || !except {
			o.value.columns = append(o.value.columns, f)
		}
	}
	for _, k := range keys {
		if len(p.Table.Schema) > 0 && p.Table.Schema.Index(k) < 0 {
			p.Fail("option 'key.fields': there is no column %s", k)
		}
	}
	if o.key.prefix != "" && !except {
		p.Fail("option 'key.fields-prefix' needs 'value.fields-include' = 'EXCEPT_KEY'")
	}
}

// format finds the format that an option names, and its options, which stand under the
// format's name, with or without what is before it.
func (p *parser) format(all *formats.Registry, e *encoding, option, name, before string) {
	e.name = strings.ToLower(name)
	e.options, e.strict = formats.Options{}, formats.Options{}
	for key, v := range p.Left() {
		rest, own := strings.CutPrefix(key, before)
		if !own && before == "key." {
			continue
		}
		if strings.HasPrefix(rest, e.name+".") {
			e.options[rest] = v
			p.Take(key)
		}
	}
	switch e.name {
	case "raw":
		p.raw(e)
		return
	case "json", "csv":
	default:
		p.Fail("option '%s': %q is not one of csv, json, raw", option, name)
		return
	}
	if e.name == "csv" {
		if _, ok := e.options["csv.header"]; ok {
			p.Fail("option 'csv.header': messages have no header")
		}
		e.options["csv.header"] = "false"
	}
	format, err := all.Lookup(e.name)
	if err != nil {
		p.Fail("option '%s': %w", option, err)
		return
	}
	if checker, ok := format.(formats.OptionChecker); ok {
		if err := checker.CheckOptions(e.options, e.columns); err != nil {
			p.Fail("%w", err)
		}
	}
	e.format = format
	ignore := e.name + ".ignore-parse-errors"
	e.lenient, _ = strconv.ParseBool(e.options[ignore]) // it was checked
	maps.Copy(e.strict, e.options)
	delete(e.strict, ignore)
}

// raw checks what is written as it is.
func (p *parser) raw(e *encoding) {
	for key := range e.options {
		p.Fail("unknown option '%s': raw has none", key)
	}
	switch {
	case len(p.Table.Schema) == 0: // not known yet
	case len(e.columns) != 1:
		p.Fail("format raw takes one column, not %d", len(e.columns))
	case !e.columns[0].Type.IsString() && !e.columns[0].Type.IsBinary():
		p.Fail("format raw takes text or bytes, not %s", e.columns[0].Type)
	}
}

// checkSource refuses what only matters to whoever reads.
func (o *options) checkSource() error {
	if o.start.mode == modeGroup && o.props.group == "" {
		return o.missing("properties.group.id", "'scan.startup.mode' is 'group-offsets' (the default)")
	}
	if o.end.mode == modeGroup && o.props.group == "" {
		return o.missing("properties.group.id", "'scan.bounded.mode' is 'group-offsets'")
	}
	return nil
}

// checkSink refuses what only matters to whoever writes.
func (o *options) checkSink() error {
	switch {
	case len(o.topics) != 1:
		return failure.Errorf(failure.InvalidSQL, "table %s: rows are written to one topic, which option 'topic' names", o.table.Name)
	case o.guarantee == exactlyOnce && o.prefix == "":
		return o.missing("sink.transactional-id-prefix", "'sink.delivery-guarantee' is 'exactly-once'")
	}
	return nil
}

func (o *options) missing(key, why string) error {
	return failure.Errorf(failure.InvalidSQL, "table %s: option '%s' is missing: %s", o.table.Name, key, why)
}
