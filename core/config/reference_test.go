package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the reference page instead of comparing it")

const referencePage = "../../docs/configuration.md"

// The reference page is made from the options, so it can neither forget one nor
// tell another default: go test ./core/config -run Reference -rewrite.
func TestReference(t *testing.T) {
	want := reference()
	if *rewrite {
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md differs from the options; run: go test ./core/config -run Reference -rewrite")
	}
}

func reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

Generated from ` + "`core/config`" + ` by its test ` + "`Reference`" + `; do not edit.

A setting is given with ` + "`-D key=value`" + ` on the command line or ` + "`SET 'key' = 'value'`" + ` in SQL. An unknown key or a value of
the wrong form is an error. Names are Flink's where the meaning is Flink's. *Takes effect* tells when a changed value counts.

| key | type | default | takes effect | meaning |
|---|---|---|---|---|
`)
	for _, i := range All() {
		value := "none"
		if i.Default != "" {
			value = "`" + i.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", i.Key, strings.ReplaceAll(i.Type, "|", `\|`), value, i.Reload, i.Doc)
	}
	return b.String()
}
