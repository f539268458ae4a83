package function

import (
	"maps"
	"slices"
	"strings"
)

// javaClasses are functions that are written in Java elsewhere and are built in here, by the
// names of their classes.
var javaClasses = map[string]string{
	"com.github.nexmark.flink.udf.CountChar": "COUNT_CHAR",
}

// Class returns the function that does what a class does: by its name, or by the
// function's own.
func (c *Catalog) Class(class string) (name string, ok bool) {
	if name, ok = javaClasses[class]; ok {
		return name, true
	}
	name = strings.ToUpper(class)
	d, ok := c.byName[name]
	return name, ok && !c.hidden[d.name]
}

// Classes are the classes that Class knows, sorted.
func Classes() []string { return slices.Sorted(maps.Keys(javaClasses)) }

// With returns the catalogue with further names, in upper case, for functions in it. Names
// that it has already stay what they are.
func (c *Catalog) With(aliases map[string]string) *Catalog {
	if len(aliases) == 0 {
		return c
	}
	byName := maps.Clone(c.byName)
	for alias, name := range aliases {
		if d, ok := c.byName[name]; ok && byName[alias] == nil {
			byName[alias] = d
		}
	}
	return &Catalog{byName: byName, hidden: c.hidden}
}
