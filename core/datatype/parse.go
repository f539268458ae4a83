package datatype

import (
	"fmt"
	"strconv"
	"strings"
)

// maxNesting bounds the depth of a type that Parse accepts.
const maxNesting = 64

// Parse reads a type in the form that Type.String prints. It is the inverse for
// serialised plans and metadata, not the SQL parser: it knows no synonyms other
// than STRING and BYTES.
func Parse(s string) (Type, error) {
	p := typeParser{in: s}
	t, err := p.parse(0)
	if err == nil && p.space() < len(s) {
		err = fmt.Errorf("unexpected %.100q", s[p.at:])
	}
	if err != nil {
		return Type{}, fmt.Errorf("type %.100q: %w", s, err)
	}
	return t, nil
}

type typeParser struct {
	in string
	at int
}

func (p *typeParser) parse(depth int) (Type, error) {
	if depth > maxNesting {
		return Type{}, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	t, err := p.head()
	if err != nil {
		return Type{}, err
	}
	switch t.Kind {
	case Array, Multiset, Map, Row:
		err = p.nested(&t, depth)
	default:
		err = p.params(&t)
	}
	if err != nil {
		return Type{}, err
	}
	t.Nullable = !p.accept("NOT NULL")
	return t, nil
}

// head reads the type's name. Longer names come first where one begins another.
func (p *typeParser) head() (Type, error) {
	if p.accept("STRING") {
		return Of(Varchar), nil
	}
	if p.accept("BYTES") {
		return Of(Varbinary), nil
	}
	found := Invalid
	for k := Null; k <= Row; k++ {
		name := kindNames[k]
		if strings.HasPrefix(p.in[p.space():], name) && (found == Invalid || len(name) > len(kindNames[found])) {
			found = k
		}
	}
	if found == Invalid {
		return Type{}, fmt.Errorf("unknown name at %.100q", p.in[p.at:])
	}
	p.at += len(kindNames[found])
	return Of(found), nil
}

func (p *typeParser) params(t *Type) (err error) {
	if !p.accept("(") {
		return nil
	}
	if t.Precision, err = p.number(); err != nil {
		return err
	}
	if p.accept(",") {
		if t.Scale, err = p.number(); err != nil {
			return err
		}
	}
	return p.expect(")")
}

func (p *typeParser) nested(t *Type, depth int) error {
	if err := p.expect("<"); err != nil {
		return err
	}
	if t.Kind == Row {
		return p.fields(t, depth)
	}
	first, err := p.parse(depth + 1)
	if err != nil {
		return err
	}
	t.Elem = &first
	if t.Kind == Map {
		if err := p.expect(","); err != nil {
			return err
		}
		value, err := p.parse(depth + 1)
		if err != nil {
			return err
		}
		t.Key, t.Elem = &first, &value
	}
	return p.expect(">")
}

func (p *typeParser) fields(t *Type, depth int) error {
	if p.accept(">") {
		return nil
	}
	for {
		name, err := p.name()
		if err != nil {
			return err
		}
		ft, err := p.parse(depth + 1)
		if err != nil {
			return err
		}
		t.Fields = append(t.Fields, Field{Name: name, Type: ft})
		if !p.accept(",") {
			return p.expect(">")
		}
	}
}

func (p *typeParser) name() (string, error) {
	rest := p.in[p.space():]
	if !strings.HasPrefix(rest, "`") {
		end := strings.IndexByte(rest, ' ')
		if end <= 0 {
			return "", fmt.Errorf("want a field name at %.100q", rest)
		}
		p.at += end
		return rest[:end], nil
	}
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		if rest[i] != '`' {
			b.WriteByte(rest[i])
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '`' {
			b.WriteByte('`')
			i++
			continue
		}
		p.at += i + 1
		return b.String(), nil
	}
	return "", fmt.Errorf("field name without end at %.100q", rest)
}

func (p *typeParser) number() (int, error) {
	start := p.space()
	for p.at < len(p.in) && p.in[p.at] >= '0' && p.in[p.at] <= '9' {
		p.at++
	}
	n, err := strconv.ParseInt(p.in[start:p.at], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("want a number at %.100q", p.in[start:])
	}
	return int(n), nil
}

func (p *typeParser) accept(s string) bool {
	if !strings.HasPrefix(p.in[p.space():], s) {
		return false
	}
	p.at += len(s)
	return true
}

func (p *typeParser) expect(s string) error {
	if !p.accept(s) {
		return fmt.Errorf("want %q at %.100q", s, p.in[p.at:])
	}
	return nil
}

func (p *typeParser) space() int {
	for p.at < len(p.in) && p.in[p.at] == ' ' {
		p.at++
	}
	return p.at
}
