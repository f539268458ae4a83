package function

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const referencePage = "../../docs/functions.md"

// The page of functions is made from the catalogue and testdata/reference, so
// that it forgets none: go test ./core/function -run Reference -rewrite.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("testdata/reference")
	if err != nil {
		t.Fatal(err)
	}
	told, missing := parseReference(t, string(text))
	c := Builtins()
	want := reference(t, c, told, missing)
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if d := c.byName[name]; d == nil || d.name != name || c.hidden[name] {
			t.Errorf("testdata/reference tells of %s, which is no function", name)
		}
	}
	if f := flag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/functions.md differs from the catalogue; run: go test ./core/function -run Reference -rewrite")
	}
}

// entry is a line of testdata/reference.
type entry struct{ result, text, peer string }

// parseReference reads what is told of functions, and the lines of those that
// are missing.
func parseReference(t *testing.T, text string) (told map[string]entry, missing [][]string) {
	told = map[string]entry{}
	late := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case line == "not yet":
			late = true
			continue
		}
		fields := strings.Split(line+" ", " |")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if late && len(fields) == 3 {
			missing = append(missing, fields)
		} else if late || len(fields) != 4 || fields[2] == "" || told[fields[0]].text != "" {
			t.Fatalf("testdata/reference: %q", line)
		} else {
			told[fields[0]] = entry{fields[1], fields[2], fields[3]}
		}
	}
	return told, missing
}

func reference(t *testing.T, c *Catalog, told map[string]entry, missing [][]string) string {
	var b strings.Builder
	b.WriteString("# Functions\n\nGenerated from `core/function` by its test `Reference`; do not edit. Semantics are Flink's. `?` marks an argument that may be\n" +
		"left out, `...` one that may repeat. The last column says how DuckDB differs, or its name for the same. Of the operators, `/` and `%`\n" +
		"of integers differ: the quotient is an integer, cut, where DuckDB makes a DOUBLE; dividing an exact number by zero fails, where\n" +
		"DuckDB gives infinity, or NULL for `%`. Integers wrap around where DuckDB fails, and quotients of decimals are decimals.\n")
	for _, kind := range []Kind{Scalar, Aggregate, Window} {
		fmt.Fprintf(&b, "\n## %s functions\n\n| name | use | result | status | what it does | DuckDB |\n|---|---|---|---|---|---|\n", kind)
		for _, name := range c.Names(kind) {
			d := c.byName[name]
			use := "`" + strings.Join(d.usage, "`, `") + "`"
			if d.name != name {
				row(&b, "`"+name+"`", use, "", "done", "the same as `"+d.name+"`", "")
				continue
			}
			e, ok := told[name]
			if !ok {
				t.Errorf("testdata/reference does not tell of %s", name)
			}
			if e.result == "" {
				e.result = resultsOf(d)
			}
			if e.result == "" {
				t.Errorf("testdata/reference does not tell the result of %s", name)
			}
			row(&b, "`"+name+"`", use, e.result, "done", e.text, e.peer)
		}
	}
	b.WriteString("\n## Flink's other functions\n\n| use | result | status | what it does |\n|---|---|---|---|\n")
	for _, m := range missing {
		row(&b, m[0], m[1], "not yet", m[2])
	}
	return b.String()
}

func row(b *strings.Builder, cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// resultsOf are the types that signatures give, each once.
func resultsOf(d *definition) string {
	var out []string
	for _, r := range d.results {
		r = strings.TrimRight(r, "?!")
		if arg, ok := strings.CutPrefix(r, "$"); ok {
			r = "as argument " + arg
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return strings.Join(out, ", ")
}
