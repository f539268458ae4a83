package ast

import "strings"

// call writes a call in the spelling of its function, with all clauses after it.
func (p *printer) call(c *Call) {
	p.funcName(c.Func)
	if c.NoParens {
		return
	}
	p.WriteByte('(')
	if !p.specialArgs(c) {
		p.plainArgs(c)
	}
	p.WriteByte(')')
	if len(c.WithinGroup) > 0 {
		p.WriteString(" WITHIN GROUP (")
		p.orderBy(c.WithinGroup)
		p.WriteByte(')')
	}
	if c.Nulls != NullsDefault {
		p.WriteString(" " + c.Nulls.String())
	}
	if c.Filter != nil {
		p.WriteString(" FILTER (WHERE ")
		p.expr(c.Filter)
		p.WriteByte(')')
	}
	if c.Over != nil {
		p.WriteString(" OVER ")
		p.windowRef(c.Over)
	}
}

// funcName writes a function's name; LEFT and CURRENT_DATE are reserved, but not as functions.
func (p *printer) funcName(n *Name) {
	if len(n.Parts) == 1 && n.Parts[0].Quote == 0 && plain(n.Parts[0].Name) {
		p.WriteString(n.Parts[0].Name)
		return
	}
	p.name(n)
}

// plainArgs writes arguments with commas.
func (p *printer) plainArgs(c *Call) {
	if c.Quantifier != QuantNone {
		p.WriteString(c.Quantifier.String() + " ")
	}
	commas(p, c.Args, p.expr)
	if len(c.OrderBy) > 0 {
		p.WriteByte(' ')
		p.orderBy(c.OrderBy)
	}
	if c.JSON != nil {
		p.WriteString(when(len(c.Args) > 0, " "))
		p.jsonClauses(c.JSON)
	}
}

// specialArgs writes the arguments of the functions that have words between them, and reports whether c is such a call.
func (p *printer) specialArgs(c *Call) bool {
	if len(c.Func.Parts) != 1 || c.Func.Parts[0].Quote != 0 {
		return false
	}
	n := len(c.Args)
	switch strings.ToUpper(c.Func.Parts[0].Name) {
	case "EXTRACT":
		if n == 2 && isUnit(c.Args[0]) {
			p.joined(c.Args, "", " FROM ")
			return true
		}
	case "CEIL", "CEILING", "FLOOR":
		if n == 2 && isUnit(c.Args[1]) {
			p.beforeTo(c.Args[0])
			p.joined(c.Args[1:], " TO ")
			return true
		}
	case "TRIM":
		if n == 3 {
			p.joined(c.Args, "", " ", " FROM ")
			return true
		}
	case "POSITION":
		if n == 2 || n == 3 {
			p.operand(c.Args[0], LevelSum)
			p.joined(c.Args[1:], " IN ", " FROM ")
			return true
		}
	case "OVERLAY":
		if n == 3 || n == 4 {
			p.joined(c.Args, "", " PLACING ", " FROM ", " FOR ")
			return true
		}
	case "JSON_OBJECT", "JSON_OBJECTAGG":
		if n%2 == 0 {
			p.jsonObject(c)
			return true
		}
	}
	return false
}

func isUnit(e Expr) bool {
	_, ok := e.(*UnitArg)
	return ok
}

// joined writes each argument after its separator.
func (p *printer) joined(args []Expr, separators ...string) {
	for i, a := range args {
		p.WriteString(separators[i])
		p.expr(a)
	}
}

// beforeTo writes an argument before TO, which would be taken for a part of an interval at its end.
func (p *printer) beforeTo(e Expr) {
	switch e.(type) {
	case *ColumnRef, *Call, *Cast:
		p.expr(e)
	default:
		p.inParens(e)
	}
}

func (p *printer) jsonObject(c *Call) {
	for i := 0; i < len(c.Args); i += 2 {
		p.WriteString(when(i > 0, ", ") + "KEY ")
		if key := Format(c.Args[i]); len(key) >= 5 && strings.EqualFold(key[:5], "VALUE") {
			p.inParens(c.Args[i]) // KEY value VALUE 1 reads as a column named key
		} else {
			p.WriteString(key)
		}
		p.WriteString(" VALUE ")
		p.expr(c.Args[i+1])
	}
	if c.JSON != nil {
		p.WriteString(when(len(c.Args) > 0, " "))
		p.jsonClauses(c.JSON)
	}
}

func (p *printer) jsonClauses(j *JSONClauses) {
	if j.OnNull != OnNullUnset {
		p.WriteString(j.OnNull.String())
		return
	}
	var clauses []func()
	if j.Returning != nil {
		clauses = append(clauses, func() { p.WriteString("RETURNING "); p.typeName(j.Returning) })
	}
	if j.Wrapper != WrapperUnset {
		clauses = append(clauses, func() { p.WriteString(j.Wrapper.String()) })
	}
	if j.OnEmpty != nil {
		clauses = append(clauses, func() { p.jsonBehavior(j.OnEmpty); p.WriteString(" ON EMPTY") })
	}
	if j.OnError != nil {
		clauses = append(clauses, func() { p.jsonBehavior(j.OnError); p.WriteString(" ON ERROR") })
	}
	for i, clause := range clauses {
		p.WriteString(when(i > 0, " "))
		clause()
	}
}

func (p *printer) jsonBehavior(b *JSONBehavior) {
	p.WriteString(b.Kind.String())
	if b.Default != nil {
		p.WriteByte(' ')
		p.expr(b.Default)
	}
}
