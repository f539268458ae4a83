package binder

import (
	"slices"
	"strings"
	"time"

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
	case "SESSION":
		return []string{"DATA", "TIMECOL", "GAP"}
	default:
		return []string{"DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"}
	}
}

func (b *Binder) bindTableFunc(t *ast.TableFunc) (plan.Node, *scope, error) {
	name := strings.ToUpper(t.Call.Func.String())
	kind, ok := map[string]plan.WindowKind{"TUMBLE": plan.Tumble, "HOP": plan.Hop, "CUMULATE": plan.Cumulate, "SESSION": plan.Session}[name]
	switch {
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
	node, sc, partition, err := b.windowInput(t.Call, args["DATA"], kind)
	if err != nil {
		return nil, nil, err
	}
	node, column, err := b.timeColumn(t.Call, args["TIMECOL"], node, sc)
	if err != nil {
		return nil, nil, err
	}
	window, err := b.windowLengths(t.Call, kind, args)
	if err != nil {
		return nil, nil, err
	}
	if err := b.sameMidnight(t.Call, window, sc.columns[column].typ); err != nil {
		return nil, nil, err
	}
	tvf := &plan.WindowTVF{Place: b.at(t.Call), Input: node, Window: window, Time: column, Partition: partition}
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

// windowInput binds the table of a window table function, and the keys that sessions are by.
func (b *Binder) windowInput(call *ast.Call, data ast.Expr, kind plan.WindowKind) (plan.Node, *scope, []expr.Expr, error) {
	table, ok := data.(*ast.TableArg)
	switch {
	case !ok:
		return nil, nil, nil, b.errorf(sqlerr.WrongArguments, data, "the first argument of %s is a table", call.Func).Suggest("write TABLE t, or TABLE (SELECT ...)")
	case len(table.PartitionBy) > 0 && kind != plan.Session:
		return nil, nil, nil, b.unsupported(table, "PARTITION BY of the table argument of "+kind.String()+" is").Suggest("leave it out: the windows are the same for all keys")
	case len(table.OrderBy) > 0:
		return nil, nil, nil, b.unsupported(table, "ORDER BY of a table argument is").Suggest("leave it out: windows are in the order of time")
	}
	node, sc, err := b.bindTable(table.Table)
	if err != nil {
		return nil, nil, nil, err
	}
	var keys []expr.Expr
	x := exprBinder{Binder: b, scope: sc, clause: "PARTITION BY"}
	for _, p := range table.PartitionBy {
		key, err := x.bind(p)
		if err != nil {
			return nil, nil, nil, err
		}
		keys = append(keys, key)
	}
	return node, sc, keys, nil
}

func (b *Binder) timeColumn(call *ast.Call, arg ast.Expr, node plan.Node, sc *scope) (plan.Node, int, error) {
	d, ok := arg.(*ast.Descriptor)
	if !ok || len(d.Columns) != 1 {
		return nil, 0, b.errorf(sqlerr.WrongArguments, arg, "the second argument of %s names the time column", call.Func).Suggest("write DESCRIPTOR(column)")
	}
	id := d.Columns[0].Name
	found, _ := sc.find([]*ast.Ident{id})
	if len(found) != 1 {
		return nil, 0, b.errorf(sqlerr.UnknownColumn, id, "unknown column %s", id.Name).DidYouMean(id.Name, sc.names())
	}
	node, err := b.checkTime(id, id.Name, node, found[0])
	return node, found[0], err
}

// checkTime refuses windows over what is no time, or has none that goes on. It returns
// the node with processing time where the window is over that.
func (b *Binder) checkTime(at ast.Node, name string, node plan.Node, column int) (plan.Node, error) {
	node = b.byClock(at, node, column)
	t := node.Schema()[column].Type
	switch {
	case !t.IsTimestamp():
		return nil, b.errorf(sqlerr.TypeMismatch, at, "column %s is %s, a window needs a TIMESTAMP", name, t.WithNull(true)).
			Suggest("compute one in the table, with a watermark: ts AS TO_TIMESTAMP_LTZ(millis, 3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND")
	case !plan.Bounded(node) && !plan.TimeAttribute(node, column):
		return nil, b.errorf(sqlerr.NoEventTime, at, "column %s has no watermark, so windows over this unbounded table would never end", name).
			Suggest("declare WATERMARK FOR %s AS %s - INTERVAL '5' SECOND in the table", datatype.QuoteName(name), datatype.QuoteName(name))
	}
	return node, nil
}

// sameMidnight refuses windows over moments that begin at other ones in the session's time
// zone than in UTC, by which windows of moments are laid.
func (b *Binder) sameMidnight(at ast.Node, w plan.Window, t datatype.Type) error {
	const quarter = 15 * 60_000 // the zones are whole quarters of an hour apart
	every := w.SizeMillis
	if w.Kind == plan.Hop {
		every = w.SlideMillis
	}
	if t.Kind != datatype.TimestampLTZ || w.Kind == plan.Session || b.Zone == nil || b.Zone.String() == time.UTC.String() || quarter%every == 0 {
		return nil
	}
	return b.unsupported(at, "a window over TIMESTAMP_LTZ that does not divide a quarter of an hour, in a time zone other than UTC, is").
		Suggest("cast the column to TIMESTAMP(3) below the watermark, or SET 'table.local-time-zone' = 'UTC'")
}

func (b *Binder) windowLengths(call *ast.Call, kind plan.WindowKind, args map[string]ast.Expr) (plan.Window, error) {
	w := plan.Window{Kind: kind}
	for name, to := range map[string]*int64{"SIZE": &w.SizeMillis, "GAP": &w.SizeMillis, "SLIDE": &w.SlideMillis, "STEP": &w.SlideMillis, "OFFSET": &w.OffsetMillis} {
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
	if (kind == plan.Hop || kind == plan.Cumulate) && w.SizeMillis%w.SlideMillis != 0 {
		return w, b.errorf(sqlerr.WrongArguments, call, "the size of %s must be a multiple of its %s", call.Func,
			map[plan.WindowKind]string{plan.Hop: "slide", plan.Cumulate: "step"}[kind])
	}
	return w, nil
}
