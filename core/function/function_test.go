package function

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/datatype"
)

// TestResolve runs testdata/resolve: one call a line. Arguments are types, or
// literals as 'text' or 5 (an INT), divided by semicolons.
func TestResolve(t *testing.T) {
	c := Builtins()
	datadriven.RunTest(t, "testdata/resolve", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
			fmt.Fprintln(&out, resolveLine(t, c, d.Cmd, line))
		}
		return out.String()
	})
}

func resolveLine(t *testing.T, c *Catalog, cmd, line string) string {
	name, rest, _ := strings.Cut(line, " :")
	var args []Arg
	var types []datatype.Type
	for _, text := range strings.Split(rest, ";") {
		if text = strings.TrimSpace(text); text != "" {
			args = append(args, parseArg(t, text))
			types = append(types, args[len(args)-1].Type)
		}
	}
	var r Resolved
	var err error
	switch cmd {
	case "scalar":
		r, err = c.ResolveScalar(name, args)
	case "aggregate":
		r, err = c.ResolveAggregate(name, args, false)
	case "window":
		r, err = c.ResolveWindow(name, args)
	case "common":
		common, err := CommonType(types...)
		if err != nil {
			return err.Error()
		}
		return common.String()
	case "cast":
		return fmt.Sprintf("implicit %v, explicit %v", CanCast(types[0], types[1], true), CanCast(types[0], types[1], false))
	}
	if err != nil {
		return err.Error()
	}
	parts := make([]string, len(r.Args))
	for i, a := range r.Args {
		parts[i] = a.String()
	}
	text := fmt.Sprintf("%s(%s) -> %s", r.Name, strings.Join(parts, ", "), r.Return)
	if !r.Deterministic {
		text += " random"
	}
	return text
}

func parseArg(t *testing.T, text string) Arg {
	if strings.HasPrefix(text, "'") {
		s := strings.Trim(text, "'")
		return Arg{Type: datatype.Of(datatype.Char).WithPrecision(len(s)).NotNull(), Literal: s, IsLiteral: true}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Arg{Type: datatype.Of(datatype.Int).NotNull(), Literal: n, IsLiteral: true}
	}
	typ, err := datatype.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return Arg{Type: typ}
}

// Every name resolves to a definition whose usage can be shown.
func TestNames(t *testing.T) {
	c := Builtins()
	for _, kind := range []Kind{Scalar, Aggregate, Window} {
		names := c.Names(kind)
		if len(names) == 0 {
			t.Errorf("no %s functions", kind)
		}
		for _, n := range names {
			if k, ok := c.Exists(strings.ToLower(n)); !ok || k != kind || len(c.Usage(n)) == 0 {
				t.Errorf("%s: kind %v, usage %q", n, k, c.Usage(n))
			}
		}
	}
	if _, ok := c.Exists("no_such"); ok {
		t.Error("no_such exists")
	}
	for alias, name := range synonyms() {
		if _, ok := c.Exists(name); !ok {
			t.Errorf("%s stands for %s, which does not exist", alias, name)
		}
	}
}
