package binder

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// windowParams are the parameters of the window table functions, in order.
func windowParams(name string) []string {
	switch name {
	case "TUMBLE":
		return []string{"DATA", "TIMECOL", "SIZE", "OFFSET"}
	case "HOP":
		return []string{"DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"}
	default:
		return []string{"DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"}
	}
}

func (b *Binder) bindTableFunc(t *ast.TableFunc) (plan.Node, *scope, error) {
	name := strings.ToUpper(t.Call.Func.String())
	kind, ok := map[string]plan.WindowKind{"TUMBLE": plan.Tumble, "HOP": plan.Hop, "CUMULATE": plan.Cumulate}[name]
	switch {
	case name == "SESSION":
		return nil, nil, b.unsupported(t.Call, "the window SESSION is")
	case !ok:
		if _, exists := b.Functions.Exists(name); exists {
			return nil, nil, b.errorf(sqlerr.MisplacedCall, t.Call, "%s is not a table function", name)
		}
		return nil, nil, b.errorf(sqlerr.UnknownFunction, t.Call.Func, "unknown table function %s", t.Call.Func).
			DidYouMean(name, []string{"TUMBLE", "HOP", "CUMULATE", "SESSION"})
	case t.Lateral:
		return nil, nil, b.unsupported(t, "LATERAL is")
	}
	args, err := b.windowArgs(t.Call, windowParams(name))
	if err != nil {
		return nil, nil, err
	}
	node, sc, err := b.windowInput(t.Call, args["DATA"])
	if err != nil {
		return nil, nil, err
	}
	column, err := b.timeColumn(t.Call, args["TIMECOL"], node, sc)
	if err != nil {
		return nil, nil, err
	}
	window, err := b.windowLengths(t.Call, kind, args)
	if err != nil {
		return nil, nil, err
	}
	tvf := &plan.WindowTVF{Place: b.at(t.Call), Input: node, Window: window, Time: column}
	extra := tvf.Schema()[len(sc.columns):]
	out := &scope{columns: slices.Concat(sc.columns, scopeOf("", extra).columns)}
	return tvf, out, nil
}

// windowArgs brings the arguments into a map by name.
func (b *Binder) windowArgs(call *ast.Call, params []string) (map[string]ast.Expr, error) {
	args := map[string]ast.Expr{}
	for i, a := range call.Args {
		var name string
		value := a
		if named, ok := a.(*ast.NamedArg); ok {
			name, value = strings.ToUpper(named.Name.Name), named.Value
			if !slices.Contains(params, name) {
				return nil, b.errorf(sqlerr.WrongArguments, named.Name, "%s has no parameter %s", call.Func, named.Name.Name).DidYouMean(name, params)
			}
		} else if i < len(params) {
			name = params[i]
		} else {
			return nil, b.errorf(sqlerr.WrongArguments, a, "%s takes at most %d arguments", call.Func, len(params))
		}
		if args[name] != nil {
			return nil, b.errorf(sqlerr.Duplicate, a, "parameter %s is given twice", name)
		}
		args[name] = value
	}
	for _, p := range params {
		if args[p] == nil && p != "OFFSET" {
			return nil, b.errorf(sqlerr.WrongArguments, call, "%s wants (%s)", call.Func, strings.Replace(strings.Join(params, ", "), ", OFFSET", " [, OFFSET]", 1)).
				Suggest("write TABLE(%s(TABLE t, DESCRIPTOR(time), INTERVAL '1' MINUTE))", strings.ToUpper(call.Func.String()))
		}
	}
	return args, nil
}

func (b *Binder) windowInput(call *ast.Call, data ast.Expr) (plan.Node, *scope, error) {
	table, ok := data.(*ast.TableArg)
	if !ok {
		return nil, nil, b.errorf(sqlerr.WrongArguments, data, "the first argument of %s is a table", call.Func).Suggest("write TABLE t, or (SELECT ...)")
	}
	if len(table.PartitionBy) > 0 || len(table.OrderBy) > 0 {
		return nil, nil, b.unsupported(table, "PARTITION BY or ORDER BY of a table argument is")
	}
	return b.bindTable(table.Table)
}

func (b *Binder) timeColumn(call *ast.Call, arg ast.Expr, node plan.Node, sc *scope) (int, error) {
	d, ok := arg.(*ast.Descriptor)
	if !ok || len(d.Columns) != 1 {
		return 0, b.errorf(sqlerr.WrongArguments, arg, "the second argument of %s names the time column", call.Func).Suggest("write DESCRIPTOR(column)")
	}
	id := d.Columns[0].Name
	found, _ := sc.find([]*ast.Ident{id})
	if len(found) != 1 {
		return 0, b.errorf(sqlerr.UnknownColumn, id, "unknown column %s", id.Name).DidYouMean(id.Name, sc.names())
	}
	t := sc.columns[found[0]].typ
	switch {
	case t.Kind == datatype.TimestampLTZ:
		return 0, b.unsupported(id, "a window over TIMESTAMP_LTZ is").Suggest("cast the column to TIMESTAMP(3)")
	case t.Kind != datatype.Timestamp:
		return 0, b.errorf(sqlerr.TypeMismatch, id, "column %s is %s, a window needs a TIMESTAMP", id.Name, t.WithNull(true))
	case !plan.Bounded(node) && !plan.EventTime(node, found[0]):
		return 0, b.errorf(sqlerr.NoEventTime, id, "column %s has no watermark, so windows over this unbounded table would never end", id.Name).
			Suggest("declare WATERMARK FOR %s AS %s - INTERVAL '5' SECOND in the table", datatype.QuoteName(id.Name), datatype.QuoteName(id.Name))
	}
	return found[0], nil
}

func (b *Binder) windowLengths(call *ast.Call, kind plan.WindowKind, args map[string]ast.Expr) (plan.Window, error) {
	w := plan.Window{Kind: kind}
	for name, to := range map[string]*int64{"SIZE": &w.SizeMillis, "SLIDE": &w.SlideMillis, "STEP": &w.SlideMillis, "OFFSET": &w.OffsetMillis} {
		arg := args[name]
		if arg == nil {
			continue
		}
		x := exprBinder{Binder: b, scope: &scope{}, clause: "a window"}
		e, err := x.bind(arg)
		if err != nil {
			return w, err
		}
		lit, ok := e.(*expr.Literal)
		if !ok || lit.T.Kind != datatype.IntervalSecond || lit.Value == nil {
			return w, b.errorf(sqlerr.WrongArguments, arg, "%s of %s is an interval of days, hours, minutes or seconds", name, call.Func).Suggest("write INTERVAL '1' MINUTE")
		}
		*to = lit.Value.(int64)
		if name != "OFFSET" && *to <= 0 {
			return w, b.errorf(sqlerr.WrongArguments, arg, "%s of %s must be positive", name, call.Func)
		}
	}
	if kind != plan.Tumble && w.SizeMillis%w.SlideMillis != 0 {
		return w, b.errorf(sqlerr.WrongArguments, call, "the size of %s must be a multiple of its %s", call.Func,
			map[plan.WindowKind]string{plan.Hop: "slide", plan.Cumulate: "step"}[kind])
	}
	return w, nil
}
