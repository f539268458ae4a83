package function

import "slices"

// jsonTable are the functions on JSON text. The clauses that SQL writes between
// their arguments come as letters in a literal, from the binder:
//
//	JSON_VALUE   doc, path, [empty][error], default, default   n null, e error, d default
//	JSON_QUERY   doc, path, [wrapper][empty][error]            w without, c conditional, u unconditional;
//	                                                           n null, e error, a empty array, o empty object
//	JSON_EXISTS  doc, path, [error]                            t true, f false, u unknown, e error
//	JSON_OBJECT  [nulls][argument]..., key, value, ...         n null, a absent; v value, r text that is JSON
//	JSON_ARRAY   [nulls][argument]..., value, ...              likewise
func jsonTable() []definition {
	constructors := []definition{
		shown(scalar("JSON_OBJECT", "string, any... -> STRING!"), "JSON_OBJECT([KEY key VALUE value, ...] [NULL | ABSENT ON NULL])"),
		shown(scalar("JSON_ARRAY", "string, any... -> STRING!"), "JSON_ARRAY([value, ...] [NULL | ABSENT ON NULL])"),
		scalar("JSON_STRING", "any -> STRING"),
		scalar("JSON_QUOTE", "string -> STRING"),
		scalar("JSON_UNQUOTE", "string -> STRING"),
	}
	return slices.Concat(constructors, []definition{
		shown(scalar("JSON_VALUE", "string, string, string, string, string -> STRING?"),
			"JSON_VALUE(string, path [RETURNING type] [NULL | ERROR | DEFAULT value ON EMPTY] [... ON ERROR])"),
		shown(scalar("JSON_QUERY", "string, string, string -> STRING?"),
			"JSON_QUERY(string, path [WITH | WITHOUT [CONDITIONAL | UNCONDITIONAL] ARRAY WRAPPER] [NULL | ERROR | EMPTY ARRAY | EMPTY OBJECT ON EMPTY] [... ON ERROR])"),
		shown(scalar("JSON_EXISTS", "string, string, string -> BOOLEAN?"), "JSON_EXISTS(string, path [TRUE | FALSE | UNKNOWN | ERROR ON ERROR])"),
	})
}

// jsonTests are never null: NULL is no JSON.
func jsonTests() []definition {
	return each([]string{"IS JSON VALUE", "IS JSON OBJECT", "IS JSON ARRAY", "IS JSON SCALAR"}, func(name string) definition {
		return scalar(name, "string -> BOOLEAN!")
	})
}

// shown gives a function the usage that users write.
func shown(d definition, usage string) definition {
	d.usage = []string{usage}
	return d
}
