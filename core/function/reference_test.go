package function

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const referencePage = "../../docs/functions.md"

// The page of functions is made from the catalogue, so that it forgets none:
// go test ./core/function -run Reference -rewrite.
func TestReference(t *testing.T) {
	want := reference(Builtins())
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

func reference(c *Catalog) string {
	var b strings.Builder
	b.WriteString("# Functions\n\nGenerated from `core/function` by its test `Reference`; do not edit. Semantics are Flink's. `?` marks an argument that may be\n" +
		"left out, `...` one that may repeat.\n")
	for _, kind := range []Kind{Scalar, Aggregate, Window} {
		fmt.Fprintf(&b, "\n## %s functions\n\n| name | use |\n|---|---|\n", kind)
		for _, name := range c.Names(kind) {
			use := "`" + strings.Join(c.Usage(name), "`, `") + "`"
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.ReplaceAll(use, "|", `\|`))
		}
	}
	return b.String()
}
