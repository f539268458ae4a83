package formats

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

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
			return nil, failure.Errorf(failure.Usage, "unknown option %s: %s has %s.%s",
				key, format, format, strings.Join(known, ", "+format+"."))
		}
		section[name] = value
	}
	return section, nil
}
