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

// groupWindow is a window that stands in GROUP BY, as they were written before window
// table functions: TUMBLE(time, size), HOP(time, slide, size) or SESSION(time, gap). The
// rows are given their windows above WHERE, and TUMBLE_START(time, size) is a column then.
type groupWindow struct {
	*plan.WindowTVF
	call *ast.Call
}

// groupWindow puts the window of GROUP BY, if there is one, above WHERE.
func (s *selection) groupWindow() error {
	if s.syntax.GroupBy == nil {
		return nil
	}
	for _, n := range s.syntax.GroupBy.Items {
		call, ok := n.(*ast.Call)
		if !ok || !windowFunction(strings.ToUpper(call.Func.String())) {
			continue
		}
		if s.grouped != nil {
			return s.errorf(sqlerr.BadClause, n, "GROUP BY has two windows")
		}
		if err := s.bindGroupWindow(call); err != nil {
			return err
		}
	}
	return nil
}

func (s *selection) bindGroupWindow(call *ast.Call) error {
	name := strings.ToUpper(call.Func.String())
	kind, ok := map[string]plan.WindowKind{"TUMBLE": plan.Tumble, "HOP": plan.Hop, "SESSION": plan.Session}[name]
	if !ok {
		return s.unsupported(call, "GROUP BY "+name+" is").Suggest("use FROM TABLE(%s(...)) and GROUP BY window_start, window_end", name)
	}
	params := slices.DeleteFunc(windowParams(name)[1:], func(p string) bool { return p == "OFFSET" })
	if len(call.Args) != len(params) {
		return s.errorf(sqlerr.WrongArguments, call, "%s in GROUP BY wants (%s)", name, strings.Join(params, ", "))
	}
	args := map[string]ast.Expr{}
	for i, p := range params {
		args[p] = call.Args[i]
	}
	e, err := s.binder("GROUP BY").bind(call.Args[0])
	if err != nil {
		return err
	}
	column, ok := e.(*expr.Column)
	if !ok || column.Index < 0 {
		return s.errorf(sqlerr.WrongArguments, call.Args[0], "the first argument of %s is a column with the time", name)
	}
	if s.node, err = s.checkTime(call.Args[0], column.Name, s.node, column.Index); err != nil {
		return err
	}
	window, err := s.windowLengths(call, kind, args)
	if err != nil {
		return err
	}
	if err := s.sameMidnight(call, window, column.T); err != nil {
		return err
	}
	s.grouped = &groupWindow{&plan.WindowTVF{Place: s.at(call), Input: s.node, Window: window, Time: column.Index}, call}
	s.node = s.grouped.WindowTVF
	return nil
}

// groupByWindow adds the bounds of the window to the keys; sessions are by the others.
func (s *selection) groupByWindow() error {
	w := s.grouped
	if w == nil {
		return nil
	}
	if s.group.several {
		return s.unsupported(w.call, "a window in GROUP BY beside grouping sets is").
			Suggest("use FROM TABLE(%s(...)) and window_start, window_end in each set", w.Window.Kind)
	}
	start, end := w.column(plan.WindowStart), w.column(plan.WindowEnd)
	for _, k := range s.group.keys {
		if w.Window.Kind == plan.Session && !expr.Equal(k, end) {
			w.Partition = append(w.Partition, k)
		}
	}
	s.addKey(start, start.Name)
	return nil
}

func (w *groupWindow) column(p plan.Property) *expr.Column {
	return plan.Column(w.Schema(), len(w.Input.Schema())+int(p-plan.WindowStart))
}

// windowCall binds what tells of the window in GROUP BY: there the window itself, and
// elsewhere its start, its end and its time.
func (x *exprBinder) windowCall(n *ast.Call, name string) (e expr.Expr, ok bool, err error) {
	kind, what, _ := strings.Cut(name, "_")
	w := x.grouped
	if w == nil || !windowFunction(kind) || what == "" && x.clause != "GROUP BY" {
		return nil, false, nil
	}
	if kind != w.Window.Kind.String() || !sameArguments(n.Args, w.call.Args) {
		return nil, true, x.errorf(sqlerr.WrongArguments, n, "%s is of another window than that of GROUP BY", name).
			Suggest("write %s(%s)", name, strings.TrimSuffix(strings.SplitN(ast.Format(w.call), "(", 2)[1], ")"))
	}
	end := w.column(plan.WindowEnd)
	switch what {
	case "START":
		return w.column(plan.WindowStart), true, nil
	case "", "END":
		return end, true, nil
	case "ROWTIME":
		last := &expr.Literal{Value: int64(1), T: datatype.Of(datatype.IntervalSecond).NotNull()}
		return &expr.Call{Function: "-", Args: []expr.Expr{end, last}, T: end.T}, true, nil
	case "PROCTIME":
		if !processingTime(w.Input, w.Time) {
			return nil, true, x.errorf(sqlerr.WrongArguments, n, "%s is of a window over PROCTIME(), and this one is over event time", name).Suggest("write %s_ROWTIME", kind)
		}
		e, err = x.resolve("PROCTIME", n)
		return e, true, err
	}
	return nil, false, nil
}

func sameArguments(a, b []ast.Expr) bool {
	return slices.EqualFunc(a, b, func(a, b ast.Expr) bool { return ast.Format(a) == ast.Format(b) })
}
