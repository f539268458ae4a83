package function

import (
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
)

// conditionals evaluate only some of their arguments, or give them one type.
func conditionals() []definition {
	return []definition{
		operator("CASE", "CASE WHEN condition THEN value ... ELSE value END", caseWhen),
		operator("IF", "IF(condition, value, value)", ifThen),
		operator("COALESCE", "COALESCE(value, ...)", coalesce(1)),
		operator("IFNULL", "IFNULL(value, value)", ifNull),
		operator("NULLIF", "NULLIF(value, value)", nullIf),
		operator("GREATEST", "GREATEST(value, ...)", extreme),
		operator("LEAST", "LEAST(value, ...)", extreme),
	}
}

// constructors build nested values.
func constructors() []definition {
	return []definition{
		operator("ARRAY", "ARRAY[value, ...]", newArray),
		operator("MAP", "MAP[key, value, ...]", newMap),
		operator("ROW", "ROW(value, ...)", newRow),
	}
}

func isCondition(t datatype.Type) bool { return t.Is(datatype.Boolean, datatype.Null) }

// caseWhen takes condition, value, condition, value, ..., else; without an ELSE
// the binder adds NULL.
func caseWhen(args []Arg) (Resolved, bool) {
	if len(args) < 3 || len(args)%2 == 0 {
		return Resolved{}, false
	}
	var values []datatype.Type
	for i, a := range args {
		if i%2 == 0 && i < len(args)-1 {
			if !isCondition(a.Type) {
				return Resolved{}, false
			}
			continue
		}
		values = append(values, a.Type)
	}
	t, err := CommonType(values...)
	if err != nil {
		return Resolved{}, false
	}
	types := make([]datatype.Type, len(args))
	for i, a := range args {
		types[i] = t.WithNull(a.Type.Nullable)
		if i%2 == 0 && i < len(args)-1 {
			types[i] = datatype.Of(datatype.Boolean).WithNull(a.Type.Nullable)
		}
	}
	return Resolved{Args: types, Return: t}, true
}

func ifThen(args []Arg) (Resolved, bool) {
	if len(args) != 3 {
		return Resolved{}, false
	}
	return caseWhen(args)
}

// alike gives all arguments their common type.
func alike(args []Arg, least int) (Resolved, bool) {
	if len(args) < least {
		return Resolved{}, false
	}
	t, err := CommonType(typesOf(args)...)
	if err != nil {
		return Resolved{}, false
	}
	r := Resolved{Return: t}
	for _, a := range args {
		r.Args = append(r.Args, t.WithNull(a.Type.Nullable))
	}
	return r, true
}

// coalesce is null only if every argument may be.
func coalesce(least int) resolver {
	return func(args []Arg) (Resolved, bool) {
		r, ok := alike(args, least)
		for _, a := range args {
			if !a.Type.Nullable {
				r.Return.Nullable = false
			}
		}
		return r, ok
	}
}

func ifNull(args []Arg) (Resolved, bool) {
	if len(args) != 2 {
		return Resolved{}, false
	}
	return coalesce(2)(args)
}

func nullIf(args []Arg) (Resolved, bool) {
	r, ok := alike(args, 2)
	r.Return = r.Return.WithNull(true)
	return r, ok && len(args) == 2
}

// extreme is null if any argument is.
func extreme(args []Arg) (Resolved, bool) {
	r, ok := alike(args, 1)
	return r, ok && !r.Return.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row)
}

func newArray(args []Arg) (Resolved, bool) {
	if len(args) == 0 {
		return Resolved{Return: datatype.ArrayOf(datatype.Of(datatype.Null)).NotNull()}, true
	}
	r, ok := alike(args, 1)
	r.Return = datatype.ArrayOf(r.Return).NotNull()
	for i := range r.Args {
		r.Args[i] = r.Return.Elem.WithNull(r.Args[i].Nullable)
	}
	return r, ok
}

func newMap(args []Arg) (Resolved, bool) {
	if len(args) == 0 || len(args)%2 != 0 {
		return Resolved{}, false
	}
	var keys, values []Arg
	for i := 0; i < len(args); i += 2 {
		keys, values = append(keys, args[i]), append(values, args[i+1])
	}
	k, ok := alike(keys, 1)
	v, ok2 := alike(values, 1)
	if !ok || !ok2 {
		return Resolved{}, false
	}
	r := Resolved{Return: datatype.MapOf(k.Return.NotNull(), v.Return).NotNull()}
	for i := range keys {
		r.Args = append(r.Args, k.Args[i], v.Args[i])
	}
	return r, true
}

func newRow(args []Arg) (Resolved, bool) {
	fields := make([]datatype.Field, len(args))
	for i, a := range args {
		fields[i] = datatype.Field{Name: "EXPR$" + strconv.Itoa(i), Type: a.Type}
	}
	return Resolved{Args: typesOf(args), Return: datatype.RowOf(fields...).NotNull()}, len(args) > 0
}
