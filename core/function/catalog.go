package function

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/datatype"
)

// Kind says how a function may be used.
type Kind uint8

// The kinds of function.
const (
	InvalidKind Kind = iota
	Scalar           // one value for each row
	Aggregate        // one value for many rows; also over a window
	Window           // only over a window: ROW_NUMBER and the like
)

// String is the kind in words.
func (k Kind) String() string {
	switch k {
	case Scalar:
		return "scalar"
	case Aggregate:
		return "aggregate"
	case Window:
		return "window"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// Arg is an argument as the binder sees it.
type Arg struct {
	Type      datatype.Type
	Literal   any // in physical form, when IsLiteral
	IsLiteral bool
}

// Resolved is a function with its types settled.
type Resolved struct {
	// Name is the canonical name: what evaluators know the function by.
	Name string
	// Args are the types to cast the arguments to, one for each argument.
	Args   []datatype.Type
	Return datatype.Type
	// Deterministic is false where equal arguments may give different results, so
	// that the call must be neither folded nor evaluated twice.
	Deterministic bool
}

// resolver settles the types of one function. It returns false where the
// arguments do not fit; the caller then prints the usage.
type resolver func(args []Arg) (Resolved, bool)

// definition is a function of the catalogue.
type definition struct {
	name    string
	kind    Kind
	usage   []string
	results []string // of its signatures, as they are written
	resolve resolver
	random  bool // not deterministic
}

// Catalog holds functions by name. It is immutable and may be shared.
type Catalog struct {
	byName map[string]*definition
	hidden map[string]bool // operators and helpers that SHOW FUNCTIONS leaves out
}

// Builtins returns the catalogue of all functions of the engine: the same one
// every time, for nobody changes it.
func Builtins() *Catalog { return builtins() }

var builtins = sync.OnceValue(build)

func build() *Catalog {
	c := &Catalog{byName: map[string]*definition{}, hidden: map[string]bool{}}
	for _, d := range operators() {
		c.add(d)
		c.hidden[d.name] = true
	}
	for _, d := range conditionals() {
		c.add(d)
	}
	for _, d := range constructors() {
		c.add(d)
	}
	for _, t := range scalarTables() {
		for _, d := range t {
			c.add(d)
		}
	}
	for _, d := range aggregates() {
		c.add(d)
	}
	for _, d := range windows() {
		c.add(d)
	}
	for alias, name := range synonyms() {
		c.byName[alias] = c.byName[name]
	}
	return c
}

func (c *Catalog) add(d definition) {
	if c.byName[d.name] != nil {
		panic("function: " + d.name + " is defined twice")
	}
	c.byName[d.name] = &d
}

// Exists returns the kind of the function called name and whether there is one.
func (c *Catalog) Exists(name string) (Kind, bool) {
	d, ok := c.byName[strings.ToUpper(name)]
	if !ok {
		return InvalidKind, false
	}
	return d.kind, true
}

// Names returns the names of all functions of a kind, sorted, synonyms included
// and operators left out.
func (c *Catalog) Names(kind Kind) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		if d := c.byName[name]; d.kind == kind && !c.hidden[d.name] {
			names = append(names, name)
		}
	}
	return names
}

// Usage returns the signatures of the function called name, as an error shows
// them; nil when there is none.
func (c *Catalog) Usage(name string) []string {
	if d, ok := c.byName[strings.ToUpper(name)]; ok {
		return d.usage
	}
	return nil
}

// ResolveScalar settles the types of a scalar call. CAST and TRY_CAST take the
// target as the type of a second argument, which the call itself does not have.
func (c *Catalog) ResolveScalar(name string, args []Arg) (Resolved, error) {
	return c.resolve(name, Scalar, args)
}

// ResolveAggregate settles the types of an aggregate call; COUNT(*) is COUNT
// without arguments.
func (c *Catalog) ResolveAggregate(name string, args []Arg, distinct bool) (Resolved, error) {
	if distinct && len(args) == 0 {
		return Resolved{}, fmt.Errorf("%s(DISTINCT ...) wants an argument", strings.ToUpper(name))
	}
	return c.resolve(name, Aggregate, args)
}

// ResolveWindow settles the types of a function that exists only over a window.
func (c *Catalog) ResolveWindow(name string, args []Arg) (Resolved, error) {
	return c.resolve(name, Window, args)
}

func (c *Catalog) resolve(name string, kind Kind, args []Arg) (Resolved, error) {
	d, ok := c.byName[strings.ToUpper(name)]
	if !ok {
		return Resolved{}, fmt.Errorf("unknown function %s", name)
	}
	if d.kind != kind {
		return Resolved{}, fmt.Errorf("%s is %s function, not %s one", d.name, article(d.kind), article(kind))
	}
	r, ok := d.resolve(args)
	if !ok {
		return Resolved{}, fmt.Errorf("%s does not take (%s); expected %s", d.name, typeList(args), strings.Join(d.usage, " or "))
	}
	r.Name, r.Deterministic = d.name, !d.random
	return r, nil
}

func article(k Kind) string {
	if k == Aggregate {
		return "an aggregate"
	}
	return "a " + k.String()
}

func typeList(args []Arg) string {
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = a.Type.WithNull(true).String()
	}
	return strings.Join(parts, ", ")
}
