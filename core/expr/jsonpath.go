package expr

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// jsonPath is a path of SQL/JSON: strict, which is the default, or lax, then $
// and steps. It knows .name, ."name", ['name'], [n], [n, m], [*], .* and ..name;
// filters it refuses.
type jsonPath struct {
	lax   bool
	steps []jsonStep
	// many is true where a step may choose several values: the result of such a
	// path is an array.
	many bool
}

// jsonStep chooses among the members of a value.
type jsonStep struct {
	names []string
	at    []int
	all   bool
	deep  bool // among all descendants as well
}

// jsonPaths keeps the last path read: they are nearly always constant.
type jsonPaths struct {
	last  string
	found *jsonPath
}

func (c *jsonPaths) of(s []byte) (*jsonPath, error) {
	if c.found != nil && c.last == string(s) {
		return c.found, nil
	}
	p, err := parseJSONPath(string(s))
	if err != nil {
		return nil, failure.Errorf(failure.UserCode, "JSON path '%s': %w", s, err)
	}
	c.last, c.found = string(s), p
	return p, nil
}

func parseJSONPath(s string) (*jsonPath, error) {
	p := &jsonPath{}
	s = strings.TrimSpace(s)
	for _, mode := range []string{"lax", "strict"} {
		if len(s) > len(mode) && strings.EqualFold(s[:len(mode)], mode) {
			p.lax, s = mode == "lax", strings.TrimSpace(s[len(mode):])
			break
		}
	}
	s, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, fmt.Errorf("want $ after the mode")
	}
	for s != "" {
		var step jsonStep
		var err error
		if step, s, err = readJSONStep(s); err != nil {
			return nil, err
		}
		p.steps = append(p.steps, step)
		p.many = p.many || step.all || step.deep || len(step.names)+len(step.at) > 1
	}
	return p, nil
}

// readJSONStep takes one step off s. A dot before a bracket is allowed.
func readJSONStep(s string) (step jsonStep, rest string, err error) {
	rest, dot := strings.CutPrefix(s, ".")
	if dot {
		rest, step.deep = strings.CutPrefix(rest, ".")
	}
	switch {
	case strings.HasPrefix(rest, "["):
		return readJSONBrackets(step, rest[1:])
	case !dot:
		return step, rest, fmt.Errorf("want . or [ at '%s'", rest)
	case strings.HasPrefix(rest, "*"):
		step.all = true
		return step, rest[1:], nil
	case strings.HasPrefix(rest, `"`):
		name, after, ok := strings.Cut(rest[1:], `"`)
		if !ok {
			return step, rest, fmt.Errorf("a quotation mark is missing")
		}
		step.names = []string{name}
		return step, after, nil
	}
	end := strings.IndexAny(rest, ".[ ()")
	if end < 0 {
		end = len(rest)
	}
	if end == 0 {
		return step, rest, fmt.Errorf("want a name at '%s'", rest)
	}
	step.names = []string{rest[:end]}
	return step, rest[end:], nil
}

// readJSONBrackets reads what follows the opening bracket.
func readJSONBrackets(step jsonStep, s string) (jsonStep, string, error) {
	for {
		s = strings.TrimSpace(s)
		switch {
		case strings.HasPrefix(s, "*"):
			step.all, s = true, s[1:]
		case strings.HasPrefix(s, "?"):
			return step, s, fmt.Errorf("filters are not supported")
		case strings.HasPrefix(s, "'") || strings.HasPrefix(s, `"`):
			name, after, ok := strings.Cut(s[1:], s[:1])
			if !ok {
				return step, s, fmt.Errorf("a quotation mark is missing")
			}
			step.names, s = append(step.names, name), after
		default:
			n := strings.IndexAny(s, ",] ")
			if n < 0 {
				return step, s, fmt.Errorf("] is missing")
			}
			at, err := strconv.Atoi(s[:n])
			if err != nil {
				return step, s, fmt.Errorf("'%s' is neither a position nor a quoted name", s[:n])
			}
			step.at, s = append(step.at, at), s[n:]
		}
		s = strings.TrimSpace(s)
		if rest, ok := strings.CutPrefix(s, "]"); ok {
			return step, rest, nil
		}
		rest, ok := strings.CutPrefix(s, ",")
		if !ok {
			return step, s, fmt.Errorf("] is missing")
		}
		s = rest
	}
}

// find returns what the path leads to: one value, or an array of all values
// where it may choose several. It is missing where a step finds nothing.
func (p *jsonPath) find(v any) (found any, missing bool) {
	at := []any{v}
	for _, s := range p.steps {
		var next []any
		for _, v := range at {
			next = s.choose(next, v)
		}
		if at = next; len(at) == 0 && !p.many {
			return nil, true
		}
	}
	if !p.many {
		return at[0], false
	}
	if at == nil {
		at = []any{}
	}
	return at, false
}

func (s *jsonStep) choose(out []any, v any) []any {
	switch x := v.(type) {
	case *jsonObject:
		if s.all {
			out = append(out, x.values...)
		}
		for _, name := range s.names {
			if member, ok := x.get(name); ok {
				out = append(out, member)
			}
		}
		for _, member := range x.values {
			if s.deep {
				out = s.choose(out, member)
			}
		}
	case []any:
		if s.all {
			out = append(out, x...)
		}
		for _, i := range s.at {
			if i < 0 {
				i += len(x)
			}
			if i >= 0 && i < len(x) {
				out = append(out, x[i])
			}
		}
		for _, element := range x {
			if s.deep {
				out = s.choose(out, element)
			}
		}
	}
	return out
}
