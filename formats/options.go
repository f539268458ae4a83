package formats

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/suggest"
)

// OptionChecker is the ability of a Format to say whether a table's options are right
// before a file is read or written. schema is the columns of files, empty where they
// are not known: then only what needs none is checked.
type OptionChecker interface {
	CheckOptions(o Options, schema datatype.Schema) error
}

// Section returns the options under the format's prefix, without it. A key that
// is not known is an error of class failure.Usage that lists those that are.
func (o Options) Section(format string, known ...string) (map[string]string, error) {
	section := map[string]string{}
	for key, value := range o {
		name, own := strings.CutPrefix(key, format+".")
		if !own {
			continue
		}
		if !slices.Contains(known, name) {
			hint := ""
			if near := suggest.Closest(name, known); near != "" {
				hint = "; did you mean " + format + "." + near + "?"
			}
			return nil, failure.Errorf(failure.Usage, "unknown option %s: %s has %s.%s%s",
				key, format, format, strings.Join(known, ", "+format+"."), hint)
		}
		section[name] = value
	}
	return section, nil
}
