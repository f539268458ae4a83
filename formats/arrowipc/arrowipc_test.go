package arrowipc_test

import (
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/arrowipc"
	"github.com/tidemill/tidemill/formats/formattest"
)

func TestConformance(t *testing.T) {
	for name, opts := range map[string]formats.Options{
		"file": nil, "stream": {"arrow.layout": "stream"}, "zstd": {"arrow.compression": "zstd"},
	} {
		t.Run(name, func(t *testing.T) {
			formattest.Suite{
				Format: arrowipc.Format{}, Types: slices.Concat(formattest.FlatTypes(), formattest.NestedTypes()), Options: opts,
				Wrong: datatype.Of(datatype.Int), Prefix: name == "stream",
			}.Run(t)
		})
	}
}
