package ast

import "strconv"

func (p *printer) typeName(t TypeName) {
	switch n := t.(type) {
	case *BasicType:
		p.basicType(n)
	case *IntervalType:
		p.WriteString("INTERVAL ")
		p.qualifier(n.Qualifier)
	case *ArrayType:
		p.WriteString("ARRAY<")
		p.typeName(n.Elem)
		p.WriteByte('>')
	case *MultisetType:
		p.WriteString("MULTISET<")
		p.typeName(n.Elem)
		p.WriteByte('>')
	case *MapType:
		p.WriteString("MAP<")
		p.typeName(n.Key)
		p.WriteString(", ")
		p.typeName(n.Value)
		p.WriteByte('>')
	case *RowType:
		p.WriteString("ROW<")
		commas(p, n.Fields, p.rowField)
		p.WriteByte('>')
	case *StructuredType:
		p.WriteString("STRUCTURED<")
		p.str(n.Class.Value)
		for _, f := range n.Fields {
			p.WriteString(", ")
			p.rowField(f)
		}
		p.WriteByte('>')
	case *RawType:
		p.WriteString("RAW(")
		p.str(n.Class.Value)
		p.WriteString(", ")
		p.str(n.Serializer.Value)
		p.WriteByte(')')
	case *NamedType:
		p.name(n.Name)
	}
	p.WriteString(when(t.IsNotNull(), " NOT NULL"))
}

func (p *printer) basicType(t *BasicType) {
	switch {
	case t.Kind == TypeTimestampTZ:
		p.WriteString("TIMESTAMP")
		p.number(t.Precision)
		p.WriteString(" WITH TIME ZONE")
	case t.Scale >= 0:
		p.WriteString(t.Kind.String() + "(" + strconv.Itoa(t.Precision) + ", " + strconv.Itoa(t.Scale) + ")")
	default:
		p.WriteString(t.Kind.String())
		p.number(t.Precision)
	}
}

func (p *printer) rowField(f *RowField) {
	p.ident(f.Name)
	p.WriteByte(' ')
	p.typeName(f.Type)
	p.literal("", f.Comment)
}
