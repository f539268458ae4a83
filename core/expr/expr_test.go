package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/datadriven"
)

func newRecordBuilder(mem memory.Allocator, s *arrow.Schema) *array.RecordBuilder {
	return array.NewRecordBuilder(mem, s)
}

// TestFunctions runs testdata/functions: one expression a line, its value and
// type beside it.
func TestFunctions(t *testing.T) {
	datadriven.Walk(t, "testdata/functions", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
				line, _, _ = strings.Cut(line, " => ")
				fmt.Fprintln(&out, evalLine(t, line))
			}
			return out.String()
		})
	})
}

func evalLine(t *testing.T, line string) string {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	e, err := parseExpr(line, nil)
	if err != nil {
		return line + " => " + err.Error()
	}
	v, err := evalRow(e, testOptions(mem))
	if err != nil {
		return line + " => error: " + err.Error()
	}
	return line + " => " + printValue(v, e.Type()) + "  " + e.Type().String()
}
