package catalog

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// The options of a table that say what becomes of its records that are no rows. They are the
// engine's: connectors are not given them.
const (
	OptionRejectsTable = "rejects.table"
	OptionRejectsMax   = "rejects.max"
	rejectsPrefix      = "rejects."
)

// Rejects says what becomes of a table's records that are no rows.
type Rejects struct {
	Table string // that takes them, as it was written; empty: nobody does
	Given bool   // the table says so itself
	Max   int64  // more of them fail the job; negative: any number may be
}

// splitRejects takes the engine's own options out of those of a WITH clause.
func splitRejects(all map[string]string) (options, rejects map[string]string) {
	for key := range all {
		if strings.HasPrefix(key, rejectsPrefix) {
			options, rejects = maps.Clone(all), map[string]string{}
			break
		}
	}
	if rejects == nil {
		return all, nil
	}
	for key, value := range all {
		if strings.HasPrefix(key, rejectsPrefix) {
			rejects[key] = value
			delete(options, key)
		}
	}
	return options, rejects
}

// WithOptions is a table with more options, such as those of a hint.
func WithOptions(t connector.Table, more map[string]string) connector.Table {
	all := map[string]string{}
	for _, some := range []map[string]string{t.Options, t.Rejects, more} {
		maps.Copy(all, some)
	}
	t.Options, t.Rejects = splitRejects(all)
	return t
}

// ParseRejects reads the options of a table. An error is of class InvalidSQL and names the option.
func ParseRejects(t connector.Table) (Rejects, error) {
	r := Rejects{Max: -1}
	for _, key := range slices.Sorted(maps.Keys(t.Rejects)) {
		switch value := t.Rejects[key]; key {
		case OptionRejectsTable:
			r.Table, r.Given = value, true
		case OptionRejectsMax:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 || n == math.MaxInt64 {
				return r, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %q is not a number of records", t.Name, key, value)
			}
			r.Max = n
		default:
			return r, failure.Errorf(failure.InvalidSQL, "table %s: unknown option '%s'; there are '%s' and '%s'", t.Name, key, OptionRejectsTable, OptionRejectsMax)
		}
	}
	if key := lenient(t); r.Table != "" && key != "" {
		return r, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': what becomes of malformed records is said by '%s', too: give one of them", t.Name, key, OptionRejectsTable)
	}
	return r, nil
}

// lenient is the option by which a format leaves malformed records out; empty: it does not.
func lenient(t connector.Table) string {
	for _, key := range slices.Sorted(maps.Keys(t.Options)) {
		if ignores, _ := strconv.ParseBool(t.Options[key]); ignores && strings.HasSuffix(key, ".ignore-parse-errors") {
			return key
		}
	}
	return ""
}

// Lenient reports whether a table's format leaves malformed records out.
func Lenient(t connector.Table) bool { return lenient(t) != "" }
