package json

import (
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

type options struct {
	lenient bool
	iso     bool
}

var _ formats.OptionChecker = Format{}

// CheckOptions implements formats.OptionChecker.
func (Format) CheckOptions(o formats.Options, _ datatype.Schema) error {
	_, err := parseOptions(o)
	return err
}

func parseOptions(o formats.Options) (out options, err error) {
	s, err := o.Section("json", "ignore-parse-errors", "timestamp-format.standard")
	if err != nil {
		return out, err
	}
	if v, ok := s["ignore-parse-errors"]; ok {
		if out.lenient, err = strconv.ParseBool(v); err != nil {
			return out, failure.Errorf(failure.Usage, "json.ignore-parse-errors = %q: want true or false", v)
		}
	}
	switch v := strings.ToUpper(s["timestamp-format.standard"]); v {
	case "", "SQL":
	case "ISO-8601":
		out.iso = true
	default:
		return out, failure.Errorf(failure.Usage, "json.timestamp-format.standard = %q: want SQL or ISO-8601", v)
	}
	return out, nil
}
