package option

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/suggest"
)

// Parser takes the options of a table. It is not safe for concurrent use.
type Parser struct {
	Table connector.Table

	left  map[string]string // nobody has asked for these yet
	asked []string
	err   error
}

// New begins with all options of a table but the one that names its connector.
func New(t connector.Table) *Parser {
	p := &Parser{Table: t, left: maps.Clone(t.Options)}
	delete(p.left, "connector")
	return p
}

// Fail notes an error of class InvalidSQL about the table, unless there is one.
func (p *Parser) Fail(format string, args ...any) {
	if p.err == nil {
		p.err = failure.Errorf(failure.InvalidSQL, "table %s: %w", p.Table.Name, fmt.Errorf(format, args...))
	}
}

// Take returns the text of an option, and whether it is given.
func (p *Parser) Take(key string) (string, bool) {
	p.asked = append(p.asked, key)
	v, ok := p.left[key]
	delete(p.left, key)
	return v, ok
}

// Left are the options that were not taken yet; the map is the caller's.
func (p *Parser) Left() map[string]string { return maps.Clone(p.left) }

// Integer takes a whole number from least to most.
func (p *Parser) Integer(key string, def, least, most int64) int64 {
	text, ok := p.Take(key)
	if !ok {
		return def
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		p.Fail("option '%s': %q is not a whole number from %d to %d", key, text, least, most)
	}
	return n
}

// Real takes a number from least to most.
func (p *Parser) Real(key string, def, least, most float64) float64 {
	text, ok := p.Take(key)
	if !ok {
		return def
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= least && x <= most) {
		p.Fail("option '%s': %q is not a number from %g to %g", key, text, least, most)
	}
	return x
}

// End returns the first error; an option that was not taken is one, of the named connector.
func (p *Parser) End(connector string) error {
	if p.err == nil && len(p.left) > 0 {
		key := slices.Min(slices.Collect(maps.Keys(p.left)))
		hint := ""
		if near := suggest.Closest(key, p.asked); near != "" {
			hint = "; did you mean '" + near + "'?"
		}
		p.Fail("unknown option '%s' of connector %s%s", key, connector, hint)
	}
	return p.err
}
