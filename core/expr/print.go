package expr

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
)

// String prints e as SQL, for EXPLAIN and messages: (a + 1) > 5. Columns without
// a name print as $position.
func String(e Expr) string {
	var b strings.Builder
	printExpr(&b, e, true)
	return b.String()
}

// String prints the column's name.
func (c *Column) String() string { return String(c) }

// String prints the literal as SQL.
func (l *Literal) String() string { return String(l) }

// String prints the call as SQL.
func (c *Call) String() string { return String(c) }

// printExpr writes e; inner operators are in parentheses.
func printExpr(b *strings.Builder, e Expr, outermost bool) {
	switch x := e.(type) {
	case *Column:
		if x.Name == "" {
			fmt.Fprintf(b, "$%d", x.Index)
			return
		}
		b.WriteString(datatype.QuoteName(x.Name))
	case *Literal:
		printLiteral(b, x.Value, x.T)
	case *Call:
		if isOperator(x) && !outermost {
			b.WriteByte('(')
			printCall(b, x)
			b.WriteByte(')')
			return
		}
		printCall(b, x)
	}
}

func isOperator(x *Call) bool {
	switch x.Function {
	case "+", "-", "*", "/", "%", "||", "=", "<>", "<", "<=", ">", ">=", "AND", "OR", "NOT", "LIKE", "SIMILAR TO", "IN",
		"IS DISTINCT FROM", "IS NOT DISTINCT FROM":
		return true
	}
	return strings.HasPrefix(x.Function, "IS ")
}

func printCall(b *strings.Builder, x *Call) {
	switch {
	case x.Function == "CAST" || x.Function == "TRY_CAST":
		b.WriteString(x.Function + "(")
		printExpr(b, x.Args[0], true)
		b.WriteString(" AS " + x.T.WithNull(true).String() + ")")
	case x.Function == "CASE":
		printCase(b, x)
	case x.Function == "IN":
		printExpr(b, x.Args[0], false)
		b.WriteString(" IN (")
		printList(b, x.Args[1:], ", ", true)
		b.WriteByte(')')
	case x.Function == "[]":
		printExpr(b, x.Args[0], false)
		b.WriteByte('[')
		printExpr(b, x.Args[1], true)
		b.WriteByte(']')
	case x.Function == "." && len(x.Args) == 2:
		printField(b, x)
	case x.Function == "ARRAY" || x.Function == "MAP":
		b.WriteString(x.Function + "[")
		printList(b, x.Args, ", ", true)
		b.WriteByte(']')
	case !isOperator(x):
		b.WriteString(x.Function + "(")
		printList(b, x.Args, ", ", true)
		b.WriteByte(')')
	case x.Function == "LIKE" && len(x.Args) == 3, x.Function == "SIMILAR TO" && len(x.Args) == 3:
		printList(b, x.Args[:2], " "+x.Function+" ", false)
		b.WriteString(" ESCAPE ")
		printExpr(b, x.Args[2], false)
	case len(x.Args) == 1 && strings.HasPrefix(x.Function, "IS "):
		printExpr(b, x.Args[0], false)
		b.WriteString(" " + x.Function)
	case len(x.Args) == 1:
		b.WriteString(x.Function)
		if x.Function == "NOT" {
			b.WriteByte(' ')
		}
		printExpr(b, x.Args[0], false)
	default:
		printList(b, x.Args, " "+x.Function+" ", false)
	}
}

func printList(b *strings.Builder, args []Expr, between string, outermost bool) {
	for i, a := range args {
		if i > 0 {
			b.WriteString(between)
		}
		printExpr(b, a, outermost)
	}
}

func printField(b *strings.Builder, x *Call) {
	printExpr(b, x.Args[0], false)
	name := "?"
	if l, ok := x.Args[1].(*Literal); ok {
		if i, ok := l.Value.(int64); ok && int(i) < len(x.Args[0].Type().Fields) {
			name = datatype.QuoteName(x.Args[0].Type().Fields[i].Name)
		}
	}
	b.WriteString("." + name)
}

func printCase(b *strings.Builder, x *Call) {
	b.WriteString("CASE")
	for i := 0; i+1 < len(x.Args); i += 2 {
		b.WriteString(" WHEN ")
		printExpr(b, x.Args[i], true)
		b.WriteString(" THEN ")
		printExpr(b, x.Args[i+1], true)
	}
	b.WriteString(" ELSE ")
	printExpr(b, x.Args[len(x.Args)-1], true)
	b.WriteString(" END")
}

// printLiteral writes a physical value as SQL.
func printLiteral(b *strings.Builder, value any, t datatype.Type) {
	switch v := value.(type) {
	case nil:
		b.WriteString("NULL")
	case string:
		b.WriteString("'" + strings.ReplaceAll(v, "'", "''") + "'")
	case []byte:
		fmt.Fprintf(b, "x'%X'", v)
	case []any:
		printElements(b, v, t)
	default:
		text := string(appendValue(nil, value, t, &environment{location: time.UTC}))
		switch {
		case t.IsTemporal():
			fmt.Fprintf(b, "%s '%s'", t.Kind, text)
		case t.IsInterval():
			fmt.Fprintf(b, "INTERVAL '%s' %s", strings.TrimPrefix(text, "+"), strings.TrimPrefix(t.Kind.String(), "INTERVAL "))
		default:
			b.WriteString(text)
		}
	}
}

func printElements(b *strings.Builder, elements []any, t datatype.Type) {
	open, end := "ARRAY[", "]"
	if t.Kind == datatype.Row {
		open, end = "ROW(", ")"
	}
	if t.Kind == datatype.Map {
		open = "MAP["
	}
	b.WriteString(open)
	for i, v := range elements {
		if i > 0 {
			b.WriteString(", ")
		}
		printLiteral(b, v, elementType(t, i))
	}
	b.WriteString(end)
}

// elementType is the type of element i of a nested literal.
func elementType(t datatype.Type, i int) datatype.Type {
	switch {
	case t.Kind == datatype.Row:
		return t.Fields[i].Type
	case t.Kind == datatype.Map && i%2 == 0:
		return *t.Key
	default:
		return *t.Elem
	}
}
