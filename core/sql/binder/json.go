package binder

import (
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// jsonCall binds the JSON functions that have clauses between their arguments:
// the clauses become a literal of letters, as core/function describes.
func (x *exprBinder) jsonCall(n *ast.Call, name string) (e expr.Expr, ok bool, err error) {
	clauses := n.JSON
	if clauses == nil {
		clauses = &ast.JSONClauses{}
	}
	switch name {
	case "JSON_VALUE":
		e, err = x.jsonValue(n, clauses)
	case "JSON_QUERY":
		e, err = x.jsonQuery(n, clauses)
	case "JSON_EXISTS":
		e, err = x.jsonExists(n, clauses)
	case "JSON_OBJECT", "JSON_ARRAY":
		e, err = x.jsonConstructor(n, name, clauses)
	default:
		return nil, false, nil
	}
	return e, true, err
}

// jsonLetter is the letter of a behaviour, of those that a function has; an unset
// one is the first.
func (x *exprBinder) jsonLetter(n ast.Node, b *ast.JSONBehavior, letters string) (string, error) {
	if b == nil {
		return letters[:1], nil
	}
	letter := map[ast.JSONBehaviorKind]string{
		ast.JSONNull: "n", ast.JSONError: "e", ast.JSONDefault: "d", ast.JSONEmptyArray: "a", ast.JSONEmptyObject: "o",
		ast.JSONTrue: "t", ast.JSONFalse: "f", ast.JSONUnknown: "u",
	}[b.Kind]
	if letter == "" || !strings.Contains(letters, letter) {
		return "", x.errorf(sqlerr.BadClause, b, "this function cannot give %s", b.Kind)
	}
	return letter, nil
}

// jsonPathCall resolves a call on a document and a path.
func (x *exprBinder) jsonPathCall(n *ast.Call, name, letters string, more ...expr.Expr) (expr.Expr, error) {
	args, err := x.bindAll(n.Args)
	if err != nil {
		return nil, err
	}
	return x.resolve(name, n, append(append(args, stringLiteral(letters)), more...)...)
}

func (x *exprBinder) jsonValue(n *ast.Call, c *ast.JSONClauses) (expr.Expr, error) {
	if c.Wrapper != ast.WrapperUnset {
		return nil, x.errorf(sqlerr.BadClause, c, "JSON_VALUE has no ARRAY WRAPPER")
	}
	letters, defaults := "", make([]expr.Expr, 2)
	for i, b := range []*ast.JSONBehavior{c.OnEmpty, c.OnError} {
		letter, err := x.jsonLetter(n, b, "ned")
		if err != nil {
			return nil, err
		}
		letters += letter
		defaults[i] = &expr.Literal{T: datatype.Of(datatype.Varchar)}
		if letter == "d" {
			if defaults[i], err = x.bind(b.Default); err != nil {
				return nil, err
			}
			if defaults[i], err = x.castTo(b.Default, defaults[i], datatype.Of(datatype.Varchar), false); err != nil {
				return nil, err
			}
		}
	}
	e, err := x.jsonPathCall(n, "JSON_VALUE", letters, defaults...)
	if err != nil || c.Returning == nil {
		return e, err
	}
	t, err := catalog.TypeOf(c.Returning)
	if err != nil {
		return nil, err
	}
	return x.castTo(n, e, t, letters[1] != 'e')
}

// castTo casts e; try gives null for what cannot be cast.
func (x *exprBinder) castTo(n ast.Node, e expr.Expr, t datatype.Type, try bool) (expr.Expr, error) {
	name := "CAST"
	if try {
		name = "TRY_CAST"
	}
	r, err := x.Functions.ResolveScalar(name, append(arguments([]expr.Expr{e}), function.Arg{Type: t}))
	if err != nil {
		return nil, x.errorf(sqlerr.BadCast, n, "cannot cast %s to %s", e.Type().WithNull(true), t.WithNull(true))
	}
	if e.Type().Same(r.Return) {
		return e, nil
	}
	return &expr.Call{Function: r.Name, Args: []expr.Expr{e}, T: r.Return}, nil
}

func (x *exprBinder) jsonQuery(n *ast.Call, c *ast.JSONClauses) (expr.Expr, error) {
	if c.Returning != nil {
		if t, err := catalog.TypeOf(c.Returning); err != nil || !t.IsString() {
			return nil, x.unsupported(c, "RETURNING other than STRING of JSON_QUERY is")
		}
	}
	letters := map[ast.JSONWrapper]string{ast.WithConditionalWrapper: "c", ast.WithUnconditionalWrapper: "u"}[c.Wrapper]
	if letters == "" {
		letters = "w"
	}
	for _, b := range []*ast.JSONBehavior{c.OnEmpty, c.OnError} {
		letter, err := x.jsonLetter(n, b, "neao")
		if err != nil {
			return nil, err
		}
		letters += letter
	}
	return x.jsonPathCall(n, "JSON_QUERY", letters)
}

func (x *exprBinder) jsonExists(n *ast.Call, c *ast.JSONClauses) (expr.Expr, error) {
	if c.OnEmpty != nil || c.Wrapper != ast.WrapperUnset || c.Returning != nil {
		return nil, x.errorf(sqlerr.BadClause, c, "JSON_EXISTS has ON ERROR only")
	}
	letter, err := x.jsonLetter(n, c.OnError, "ftue")
	if err != nil {
		return nil, err
	}
	return x.jsonPathCall(n, "JSON_EXISTS", letter)
}

// jsonConstructor is JSON_OBJECT and JSON_ARRAY. What another JSON function made
// goes in as JSON, not as text. An object keeps nulls unless told, an array does not.
func (x *exprBinder) jsonConstructor(n *ast.Call, name string, c *ast.JSONClauses) (expr.Expr, error) {
	args, err := x.bindAll(n.Args)
	if err != nil {
		return nil, err
	}
	if len(n.OrderBy) > 0 {
		return nil, x.unsupported(n.OrderBy[0], "ORDER BY inside of "+name+" is")
	}
	letters := "n"
	if c.OnNull == ast.AbsentOnNull || c.OnNull == ast.OnNullUnset && name == "JSON_ARRAY" {
		letters = "a"
	}
	for i, e := range args {
		call, ok := e.(*expr.Call)
		made := ok && (call.Function == "JSON_OBJECT" || call.Function == "JSON_ARRAY" || call.Function == "JSON_QUERY")
		if made {
			letters += "r"
		} else {
			letters += "v"
		}
		if name == "JSON_OBJECT" && i%2 == 0 && !e.Type().IsString() {
			return nil, x.errorf(sqlerr.TypeMismatch, n.Args[i], "a key of JSON_OBJECT is %s, not a string", e.Type().WithNull(true))
		}
	}
	return x.resolve(name, n, append([]expr.Expr{stringLiteral(letters)}, args...)...)
}

// jsonAggregate reports whether an aggregate collects what a JSON constructor
// makes of each row.
func jsonAggregate(name string) bool { return name == "JSON_ARRAYAGG" || name == "JSON_OBJECTAGG" }

// jsonPiece is what a row brings to JSON_ARRAYAGG and JSON_OBJECTAGG: an array of
// one element or an object of one pair.
func (x *exprBinder) jsonPiece(n *ast.Call, name string) (expr.Expr, error) {
	clauses := n.JSON
	if clauses == nil {
		clauses = &ast.JSONClauses{}
	}
	want, of := 1, "JSON_ARRAY"
	if name == "JSON_OBJECTAGG" {
		want, of = 2, "JSON_OBJECT"
	}
	if len(n.Args) != want {
		return nil, x.errorf(sqlerr.WrongArguments, n, "%s takes %d arguments, not %d", name, want, len(n.Args))
	}
	return x.jsonConstructor(n, of, clauses)
}
