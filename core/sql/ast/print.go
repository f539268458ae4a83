package ast

import (
	"strconv"
	"strings"
	"unicode"
)

// Format returns the SQL of a node in one line. Parsing it gives the node again, positions apart. It works for nodes that a
// program has built, too, provided that they are complete.
func Format(node Node) string {
	var p printer
	p.node(node)
	return p.String()
}

// printer collects text. Its methods are named for what they write.
type printer struct {
	strings.Builder
}

func (p *printer) node(node Node) {
	switch n := node.(type) {
	case Query:
		p.query(n)
	case Expr:
		p.expr(n)
	case TableExpr:
		p.table(n)
	case TypeName:
		p.typeName(n)
	case Statement:
		p.statement(n)
	case AlterAction:
		p.alterAction(n)
	case PatternExpr:
		p.pattern(n)
	default:
		p.part(n)
	}
}

// part writes nodes that belong to no family. Only those that stand alone in messages and plans are reached this way.
func (p *printer) part(node Node) {
	switch n := node.(type) {
	case *Ident:
		p.ident(n)
	case *Name:
		p.name(n)
	case *Option:
		p.option(n)
	case *Hint:
		p.hint(n)
	case *HintArg:
		p.hintArg(n)
	case *SelectItem:
		p.selectItem(n)
	case *OrderItem:
		p.orderItem(n)
	case *GroupBy:
		p.groupBy(n)
	case *WindowSpec:
		p.windowSpec(n)
	case *Frame:
		p.frame(n)
	case *FrameBound:
		p.frameBound(n)
	case *NamedWindow:
		p.namedWindow(n)
	case *CTE:
		p.cte(n)
	case *When:
		p.when(n)
	case *RowField:
		p.rowField(n)
	case *DescriptorColumn:
		p.descriptorColumn(n)
	case *JSONClauses:
		p.jsonClauses(n)
	case *JSONBehavior:
		p.jsonBehavior(n)
	case *Measure:
		p.measure(n)
	case *AfterMatch:
		p.afterMatch(n)
	case *Subset:
		p.subset(n)
	case *PatternDef:
		p.patternDef(n)
	default:
		p.definitionPart(n)
	}
}

// words writes its non-empty arguments, each after a blank unless it is at the beginning or follows an opening parenthesis.
func (p *printer) words(words ...string) {
	for _, w := range words {
		if w == "" {
			continue
		}
		p.blank()
		p.WriteString(w)
	}
}

// blank writes a blank where two words would touch.
func (p *printer) blank() {
	if s := p.String(); s != "" {
		switch s[len(s)-1] {
		case ' ', '(', '[':
		default:
			p.WriteByte(' ')
		}
	}
}

// when returns text if it holds.
func when(holds bool, text string) string {
	if holds {
		return text
	}
	return ""
}

// commas writes the elements of a list with commas between them.
func commas[T any](p *printer, list []T, element func(T)) {
	for i, e := range list {
		if i > 0 {
			p.WriteString(", ")
		}
		element(e)
	}
}

// parens writes the elements of a list in parentheses.
func parens[T any](p *printer, list []T, element func(T)) {
	p.WriteByte('(')
	commas(p, list, element)
	p.WriteByte(')')
}

// ident writes a name with the quotes that it had, or with those that it needs.
func (p *printer) ident(id *Ident) {
	quote := id.Quote
	if quote == 0 && (!plain(id.Name) || IsReserved(id.Name)) {
		quote = '`'
	}
	if quote == 0 {
		p.WriteString(id.Name)
		return
	}
	q := string(quote)
	p.WriteString(q + strings.ReplaceAll(id.Name, q, q+q) + q)
}

// plain reports whether a name can stand without quotes, reserved words apart.
func plain(name string) bool {
	for i, r := range name {
		switch {
		case r == '_' || r == '$' || unicode.IsLetter(r):
		case i > 0 && (unicode.IsDigit(r) || r >= 0x80 && unicode.IsMark(r)):
		default:
			return false
		}
	}
	return name != ""
}

func (p *printer) idents(list []*Ident) { parens(p, list, p.ident) }

func (p *printer) parts(parts []*Ident) {
	for i, id := range parts {
		if i > 0 {
			p.WriteByte('.')
		}
		p.ident(id)
	}
}

func (p *printer) name(n *Name) { p.parts(n.Parts) }

// str writes a string in quotes.
func (p *printer) str(s string) {
	p.WriteString("'" + strings.ReplaceAll(s, "'", "''") + "'")
}

// number writes a number in parentheses unless it is -1, which stands for "not written".
func (p *printer) number(n int) {
	if n >= 0 {
		p.WriteString("(" + strconv.Itoa(n) + ")")
	}
}

func (p *printer) option(o *Option) {
	p.str(o.Key.Value)
	p.WriteString(" = ")
	p.str(o.Value.Value)
}

func (p *printer) options(list []*Option) { parens(p, list, p.option) }

// with writes WITH (...) unless the list is empty.
func (p *printer) with(list []*Option) {
	if len(list) > 0 {
		p.words("WITH ")
		p.options(list)
	}
}

// literal writes a keyword and a string if the string is there: COMMENT '...'.
func (p *printer) literal(keyword string, s *StringLit) {
	if s != nil {
		p.words(keyword)
		p.blank()
		p.str(s.Value)
	}
}

// hints writes /*+ ... */ unless the list is empty.
func (p *printer) hints(list []*Hint) {
	if len(list) == 0 {
		return
	}
	p.words("/*+ ")
	commas(p, list, p.hint)
	p.WriteString(" */")
}

func (p *printer) hint(h *Hint) {
	p.ident(h.Name)
	if len(h.Args) > 0 {
		parens(p, h.Args, p.hintArg)
	}
}

func (p *printer) hintArg(a *HintArg) {
	if a.Key != nil {
		p.expr(a.Key)
		p.WriteString(" = ")
	}
	p.expr(a.Value)
}
