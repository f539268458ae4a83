package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// typeWords are the types that a word may be a misspelling of.
var typeWords = []lex.Keyword{
	lex.CHAR, lex.VARCHAR, lex.STRING, lex.BOOLEAN, lex.BINARY, lex.VARBINARY, lex.BYTES, lex.DECIMAL, lex.NUMERIC,
	lex.TINYINT, lex.SMALLINT, lex.INT, lex.INTEGER, lex.BIGINT, lex.FLOAT, lex.DOUBLE, lex.DATE, lex.TIME, lex.TIMESTAMP,
	lex.TIMESTAMP_LTZ, lex.INTERVAL, lex.ARRAY, lex.MAP, lex.MULTISET, lex.ROW, lex.RAW,
}

// params says how many numbers a type takes in parentheses.
type params uint8

const (
	noParams params = iota
	onePrecision
	precisionAndScale
)

// basicType returns kind and parameters of a type that is one word; TypeInvalid for other words.
func basicType(w lex.Keyword) (ast.BasicKind, params) {
	switch w {
	case lex.CHAR, lex.CHARACTER:
		return ast.TypeChar, onePrecision
	case lex.VARCHAR:
		return ast.TypeVarchar, onePrecision
	case lex.STRING:
		return ast.TypeString, noParams
	case lex.BOOLEAN:
		return ast.TypeBoolean, noParams
	case lex.BINARY:
		return ast.TypeBinary, onePrecision
	case lex.VARBINARY:
		return ast.TypeVarbinary, onePrecision
	case lex.BYTES:
		return ast.TypeBytes, noParams
	case lex.DECIMAL, lex.DEC, lex.NUMERIC:
		return ast.TypeDecimal, precisionAndScale
	case lex.TINYINT:
		return ast.TypeTinyint, noParams
	case lex.SMALLINT:
		return ast.TypeSmallint, noParams
	case lex.INT, lex.INTEGER:
		return ast.TypeInt, noParams
	case lex.BIGINT:
		return ast.TypeBigint, noParams
	case lex.FLOAT, lex.REAL:
		return ast.TypeFloat, noParams
	case lex.DOUBLE:
		return ast.TypeDouble, noParams
	case lex.DATE:
		return ast.TypeDate, noParams
	case lex.TIME:
		return ast.TypeTime, onePrecision
	case lex.TIMESTAMP:
		return ast.TypeTimestamp, onePrecision
	case lex.TIMESTAMP_LTZ:
		return ast.TypeTimestampLTZ, onePrecision
	case lex.NULL:
		return ast.TypeNull, noParams
	case lex.VARIANT:
		return ast.TypeVariant, noParams
	case lex.BITMAP:
		return ast.TypeBitmap, noParams
	}
	return ast.TypeInvalid, noParams
}

// isTypeWord reports whether a word begins a type.
func isTypeWord(w lex.Keyword) bool {
	kind, _ := basicType(w)
	return kind != ast.TypeInvalid || w == lex.ARRAY || w == lex.MAP || w == lex.MULTISET || w == lex.ROW || w == lex.RAW || w == lex.INTERVAL
}

// typeName reads a type with its nullability and the postfix collections: INT NOT NULL ARRAY.
func (p *parser) typeName() ast.TypeName {
	if !p.enter() {
		p.leave()
		return &ast.BasicType{}
	}
	defer p.leave()
	start := p.start()
	t := p.typePrimary()
	for n := 0; p.tok.Kind == lex.Word && p.chain(n); n++ {
		// a nullability belongs to the element when ARRAY or MULTISET follows it
		switch {
		case p.tok.Word == lex.NOT && p.peekIs(1, lex.NULL):
			p.next()
			p.next()
			setNotNull(t, p.from(start))
		case p.tok.Word == lex.NULL && !p.peekIs(1, lex.ON): // not the NULL ON EMPTY of JSON_VALUE
			p.next()
		case p.tok.Word == lex.ARRAY:
			p.next()
			t = &ast.ArrayType{Span: p.from(start), Elem: t}
		case p.tok.Word == lex.MULTISET:
			p.next()
			t = &ast.MultisetType{Span: p.from(start), Elem: t}
		default:
			p.wantOneOf("NOT NULL", lex.NOT, lex.NULL)
			return t
		}
	}
	return t
}

func setNotNull(t ast.TypeName, span ast.Span) {
	switch t := t.(type) {
	case *ast.BasicType:
		t.NotNull, t.Span = true, span
	case *ast.IntervalType:
		t.NotNull, t.Span = true, span
	case *ast.ArrayType:
		t.NotNull, t.Span = true, span
	case *ast.MultisetType:
		t.NotNull, t.Span = true, span
	case *ast.MapType:
		t.NotNull, t.Span = true, span
	case *ast.RowType:
		t.NotNull, t.Span = true, span
	case *ast.StructuredType:
		t.NotNull, t.Span = true, span
	case *ast.RawType:
		t.NotNull, t.Span = true, span
	case *ast.NamedType:
		t.NotNull, t.Span = true, span
	}
}

func (p *parser) typePrimary() ast.TypeName {
	start := p.start()
	if p.tok.Kind == lex.Word {
		if kind, takes := basicType(p.tok.Word); kind != ast.TypeInvalid {
			return p.basic(kind, takes)
		}
		if t := p.compositeType(start); t != nil {
			return t
		}
	}
	if !p.isName() {
		p.wantOneOf("a type", typeWords...)
		p.unexpected()
		return &ast.BasicType{}
	}
	t := &ast.NamedType{Name: p.name("a type")}
	t.Span = p.from(start)
	if len(t.Name.Parts) == 1 && t.Name.Parts[0].Quote == 0 {
		p.refuseNearType(t.Name.Parts[0])
	}
	return t
}

// refuseNearType fails when a name in the place of a type is close to a type's name: no type of the user can be meant.
func (p *parser) refuseNearType(id *ast.Ident) {
	if best := sqlerr.Suggest(id.Name, texts(typeWords)); best != "" {
		p.failWith(sqlerr.New(sqlerr.BadType, id, "%s is not a type", id.Name).Suggest("did you mean %s?", best))
	}
}

// basic reads the words and numbers of a type that begins with a known word.
func (p *parser) basic(kind ast.BasicKind, takes params) ast.TypeName {
	start := p.start()
	t := &ast.BasicType{Kind: kind, Precision: -1, Scale: -1}
	word := p.tok
	p.next()
	switch {
	case word.Word == lex.DOUBLE:
		p.eat(lex.PRECISION)
	case kind == ast.TypeChar && p.eat(lex.VARYING):
		t.Kind = ast.TypeVarchar
	case kind == ast.TypeBinary && p.eat(lex.VARYING):
		t.Kind = ast.TypeVarbinary
	}
	if p.tok.Kind == lex.LParen {
		if takes == noParams {
			p.fail(sqlerr.BadType, p.tok.Span(), "%s takes nothing in parentheses", kind)
		}
		p.next()
		t.Precision = p.expectInteger("a length or precision")
		if takes == precisionAndScale && p.eatSign(lex.Comma) {
			t.Scale = p.expectInteger("a scale")
		}
		p.expectSign(lex.RParen)
	}
	if kind == ast.TypeTimestamp || kind == ast.TypeTime {
		p.timeZone(t)
	}
	t.Span = p.from(start)
	return t
}

// timeZone reads WITH [LOCAL] TIME ZONE or WITHOUT TIME ZONE.
func (p *parser) timeZone(t *ast.BasicType) {
	switch {
	case p.peekIs(0, lex.WITHOUT) && p.peekIs(1, lex.TIME):
		p.next()
	case t.Kind == ast.TypeTimestamp && p.peekIs(0, lex.WITH) && p.peekIs(1, lex.LOCAL):
		p.next()
		p.next()
		t.Kind = ast.TypeTimestampLTZ
	case t.Kind == ast.TypeTimestamp && p.peekIs(0, lex.WITH) && p.peekIs(1, lex.TIME):
		p.next()
		t.Kind = ast.TypeTimestampTZ
	default:
		return
	}
	p.expectAll(lex.TIME, lex.ZONE)
}

// compositeType reads types with types inside, INTERVAL and RAW; nil if none is next.
func (p *parser) compositeType(start ast.Pos) ast.TypeName {
	after := p.peek(1).Kind
	switch {
	case p.tok.Word == lex.ARRAY && after == lex.Lt:
		t := &ast.ArrayType{}
		p.angles(func() { t.Elem = p.typeName() })
		t.Span = p.from(start)
		return t
	case p.tok.Word == lex.MULTISET && after == lex.Lt:
		t := &ast.MultisetType{}
		p.angles(func() { t.Elem = p.typeName() })
		t.Span = p.from(start)
		return t
	case p.tok.Word == lex.MAP && after == lex.Lt:
		t := &ast.MapType{}
		p.angles(func() {
			t.Key = p.typeName()
			p.expectSign(lex.Comma)
			t.Value = p.typeName()
		})
		t.Span = p.from(start)
		return t
	case p.tok.Word == lex.ROW && (after == lex.Lt || after == lex.LParen || after == lex.Ne):
		return p.rowType(start)
	case p.tok.Word == lex.STRUCTURED && after == lex.Lt:
		return p.structuredType(start)
	case p.tok.Word == lex.RAW && after == lex.LParen:
		t := &ast.RawType{}
		p.next()
		p.parens(func() {
			t.Class = p.stringLit("a class name in quotes")
			p.expectSign(lex.Comma)
			t.Serializer = p.stringLit("a serializer in quotes")
		})
		t.Span = p.from(start)
		return t
	case p.tok.Word == lex.INTERVAL:
		p.next()
		q := p.intervalQualifier()
		return &ast.IntervalType{Span: p.from(start), Qualifier: q}
	case (p.tok.Word == lex.ARRAY || p.tok.Word == lex.MULTISET || p.tok.Word == lex.MAP || p.tok.Word == lex.ROW) && after != lex.Dot:
		p.next()
		p.expectSign(lex.Lt)
	}
	return nil
}

// angles calls inside between < and >, after the word that comes before them.
func (p *parser) angles(inside func()) {
	p.next()
	p.expectSign(lex.Lt)
	inside()
	p.expectSign(lex.Gt)
}

// rowType reads ROW<a INT, ...> or ROW(a INT, ...).
func (p *parser) rowType(start ast.Pos) ast.TypeName {
	t := &ast.RowType{}
	p.next()
	if p.eatSign(lex.Ne) { // ROW<>, which the lexer takes for the operator
		t.Span = p.from(start)
		return t
	}
	closing := lex.Gt
	if p.eatSign(lex.LParen) {
		closing = lex.RParen
	} else {
		p.expectSign(lex.Lt)
	}
	if !p.isSign(closing) {
		p.commaList(func() { t.Fields = append(t.Fields, p.rowField()) })
	}
	p.expectSign(closing)
	t.Span = p.from(start)
	return t
}

func (p *parser) rowField() *ast.RowField {
	f := &ast.RowField{Name: p.ident("the name of a field")}
	f.Type = p.typeName()
	if p.tok.Kind == lex.String {
		f.Comment = p.stringToken()
	}
	f.Span = p.from(f.Name.Start)
	return f
}

func (p *parser) structuredType(start ast.Pos) ast.TypeName {
	t := &ast.StructuredType{}
	p.angles(func() {
		t.Class = p.stringLit("a class name in quotes")
		for p.eatSign(lex.Comma) {
			t.Fields = append(t.Fields, p.rowField())
		}
	})
	t.Span = p.from(start)
	return t
}
