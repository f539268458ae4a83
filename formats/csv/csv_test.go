package csv_test

import (
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/csv"
	"github.com/tidemill/tidemill/formats/formattest"
)

func TestConformance(t *testing.T) {
	for name, opts := range map[string]formats.Options{
		"default":   nil,
		"headless":  {"csv.header": "false"},
		"other":     {"csv.field-delimiter": ";", "csv.quote-character": "'", "csv.header": "true"},
		"null text": {"csv.null-literal": "null"},
	} {
		t.Run(name, func(t *testing.T) {
			formattest.Suite{
				Format: csv.Format{}, Types: formattest.FlatTypes(), Options: opts, Untyped: true, Prefix: true,
				Wrong: datatype.Of(datatype.Date),
			}.Run(t)
		})
	}
}
