package json_test

import (
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/formattest"
	"github.com/tidemill/tidemill/formats/json"
)

func TestConformance(t *testing.T) {
	for name, opts := range map[string]formats.Options{
		"sql": nil, "iso": {"json.timestamp-format.standard": "ISO-8601"},
	} {
		t.Run(name, func(t *testing.T) {
			formattest.Suite{
				Format: json.Format{}, Types: slices.Concat(formattest.FlatTypes(), formattest.NestedTypes()), Options: opts,
				Untyped: true, Sparse: true, Prefix: true, Wrong: datatype.Of(datatype.Date),
			}.Run(t)
		})
	}
}
