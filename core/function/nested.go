package function

import (
	"github.com/tidemill/tidemill/core/datatype"
)

// nestedTable are the functions on arrays and maps.
func nestedTable() []definition {
	return []definition{
		scalar("CARDINALITY", "array -> INT", "map -> INT"),
		operator("ELEMENT", "ELEMENT(array)", single),
		operator("ARRAY_CONTAINS", "ARRAY_CONTAINS(array, value)", contains),
		operator("ARRAY_APPEND", "ARRAY_APPEND(array, value)", extended),
		operator("ARRAY_PREPEND", "ARRAY_PREPEND(array, value)", extended),
		operator("ARRAY_REMOVE", "ARRAY_REMOVE(array, value)", removed),
		operator("ARRAY_POSITION", "ARRAY_POSITION(array, value)", positioned),
		operator("ARRAY_CONCAT", "ARRAY_CONCAT(array, ...)", joined(1, 0)),
		operator("ARRAY_UNION", "ARRAY_UNION(array, array)", joined(2, 2)),
		operator("ARRAY_EXCEPT", "ARRAY_EXCEPT(array, array)", joined(2, 2)),
		operator("ARRAY_INTERSECT", "ARRAY_INTERSECT(array, array)", joined(2, 2)),
		operator("ARRAY_DISTINCT", "ARRAY_DISTINCT(array)", joined(1, 1)),
		operator("ARRAY_REVERSE", "ARRAY_REVERSE(array)", joined(1, 1)),
		operator("ARRAY_SLICE", "ARRAY_SLICE(array, int, int?)", sliced),
		operator("ARRAY_SORT", "ARRAY_SORT(array, bool?, bool?)", sorted),
		operator("ARRAY_MAX", "ARRAY_MAX(array)", extremeElement),
		operator("ARRAY_MIN", "ARRAY_MIN(array)", extremeElement),
		operator("ARRAY_JOIN", "ARRAY_JOIN(array of strings, string, string?)", arrayJoin),
		operator("MAP_KEYS", "MAP_KEYS(map)", mapPart(true)),
		operator("MAP_VALUES", "MAP_VALUES(map)", mapPart(false)),
		operator("MAP_ENTRIES", "MAP_ENTRIES(map)", mapEntries),
		operator("MAP_FROM_ARRAYS", "MAP_FROM_ARRAYS(array, array)", mapFromArrays),
		operator("MAP_UNION", "MAP_UNION(map, ...)", mapUnion),
		scalar("STR_TO_MAP", "string, string?, string? -> MAP<STRING NOT NULL, STRING>"),
	}
}

func isArray(args []Arg, i int) bool { return i < len(args) && args[i].Type.Kind == datatype.Array }

func single(args []Arg) (Resolved, bool) {
	if len(args) != 1 || !isArray(args, 0) {
		return Resolved{}, false
	}
	return Resolved{Args: typesOf(args), Return: args[0].Type.Elem.WithNull(true)}, true
}

func contains(args []Arg) (Resolved, bool) {
	if len(args) != 2 || !isArray(args, 0) || !CanCast(args[1].Type, *args[0].Type.Elem, true) {
		return Resolved{}, false
	}
	of := args[0].Type
	r := Resolved{Args: []datatype.Type{of, of.Elem.WithNull(args[1].Type.Nullable)}}
	r.Return = datatype.Of(datatype.Boolean).WithNull(of.Nullable)
	return r, true
}

// extended is an array with one more element, which may be null.
func extended(args []Arg) (Resolved, bool) {
	if len(args) != 2 || !isArray(args, 0) {
		return Resolved{}, false
	}
	elem, ok := common(*args[0].Type.Elem, args[1].Type)
	of := datatype.ArrayOf(elem).WithNull(args[0].Type.Nullable)
	return Resolved{Args: []datatype.Type{of, elem}, Return: of}, ok
}

// removed keeps the array's type; the value has that of its elements.
func removed(args []Arg) (Resolved, bool) {
	r, ok := contains(args)
	if ok {
		r.Return = args[0].Type
	}
	return r, ok
}

func positioned(args []Arg) (Resolved, bool) {
	r, ok := contains(args)
	r.Return = datatype.Of(datatype.Int).WithNull(ok && anyNullable(typesOf(args)))
	return r, ok
}

// joined takes arrays of one common type; most is 0 for any number.
func joined(least, most int) resolver {
	return func(args []Arg) (Resolved, bool) {
		r, ok := alike(args, least)
		return r, ok && r.Return.Kind == datatype.Array && (most == 0 || len(args) <= most)
	}
}

func sliced(args []Arg) (Resolved, bool) {
	if len(args) < 2 || len(args) > 3 || !isArray(args, 0) {
		return Resolved{}, false
	}
	types := typesOf(args)
	for i, a := range args[1:] {
		if !a.Type.IsInteger() && a.Type.Kind != datatype.Null {
			return Resolved{}, false
		}
		types[i+1] = datatype.Of(datatype.Int).WithNull(a.Type.Nullable)
	}
	return Resolved{Args: types, Return: types[0].WithNull(anyNullable(types))}, true
}

// hasOrder reports whether values of a type can be sorted.
func hasOrder(t datatype.Type) bool {
	return !t.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row)
}

func sorted(args []Arg) (Resolved, bool) {
	if len(args) < 1 || len(args) > 3 || !isArray(args, 0) || !hasOrder(*args[0].Type.Elem) {
		return Resolved{}, false
	}
	for _, a := range args[1:] {
		if !isCondition(a.Type) {
			return Resolved{}, false
		}
	}
	types := typesOf(args)
	for i, t := range types[1:] {
		types[i+1] = datatype.Of(datatype.Boolean).WithNull(t.Nullable)
	}
	return Resolved{Args: types, Return: types[0].WithNull(anyNullable(types))}, true
}

func extremeElement(args []Arg) (Resolved, bool) {
	r, ok := single(args)
	return r, ok && hasOrder(r.Return)
}

func arrayJoin(args []Arg) (Resolved, bool) {
	if len(args) < 2 || len(args) > 3 || !isArray(args, 0) || !args[0].Type.Elem.Is(datatype.Char, datatype.Varchar, datatype.Null) {
		return Resolved{}, false
	}
	text := datatype.Of(datatype.Varchar)
	types := []datatype.Type{datatype.ArrayOf(text.WithNull(args[0].Type.Elem.Nullable)).WithNull(args[0].Type.Nullable)}
	for _, a := range args[1:] {
		if !CanCast(a.Type, text, true) {
			return Resolved{}, false
		}
		types = append(types, text.WithNull(a.Type.Nullable))
	}
	return Resolved{Args: types, Return: text.WithNull(anyNullable(types))}, true
}

func mapPart(keys bool) resolver {
	return func(args []Arg) (Resolved, bool) {
		if len(args) != 1 || args[0].Type.Kind != datatype.Map {
			return Resolved{}, false
		}
		of := args[0].Type
		part := *of.Elem
		if keys {
			part = *of.Key
		}
		return Resolved{Args: typesOf(args), Return: datatype.ArrayOf(part).WithNull(of.Nullable)}, true
	}
}

func mapEntries(args []Arg) (Resolved, bool) {
	if len(args) != 1 || args[0].Type.Kind != datatype.Map {
		return Resolved{}, false
	}
	of := args[0].Type
	entry := datatype.RowOf(datatype.Field{Name: "key", Type: of.Key.NotNull()}, datatype.Field{Name: "value", Type: *of.Elem}).NotNull()
	return Resolved{Args: typesOf(args), Return: datatype.ArrayOf(entry).WithNull(of.Nullable)}, true
}

func mapFromArrays(args []Arg) (Resolved, bool) {
	if len(args) != 2 || !isArray(args, 0) || !isArray(args, 1) {
		return Resolved{}, false
	}
	of := datatype.MapOf(args[0].Type.Elem.NotNull(), *args[1].Type.Elem)
	return Resolved{Args: typesOf(args), Return: of.WithNull(anyNullable(typesOf(args)))}, true
}

func mapUnion(args []Arg) (Resolved, bool) {
	r, ok := alike(args, 1)
	return r, ok && r.Return.Kind == datatype.Map
}
