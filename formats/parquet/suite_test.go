package parquet

import (
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/formattest"
)

func TestConformance(t *testing.T) {
	for _, codec := range []string{"snappy", "zstd", "uncompressed"} {
		t.Run(codec, func(t *testing.T) {
			formattest.Suite{
				Format: Format{}, Types: append(formattest.FlatTypes(), formattest.NestedTypes()...), Wrong: datatype.Of(datatype.Int),
				Options: formats.Options{"parquet.compression": codec, "parquet.row-group-rows": "300"},
			}.Run(t)
		})
	}
}
