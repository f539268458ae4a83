package connector

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
)

// The options of tables that rows are looked up in.
const (
	OptLookupCache        = "lookup.cache"
	OptLookupRetries      = "lookup.max-retries"
	OptLookupRows         = "lookup.partial-cache.max-rows"
	OptLookupAfterWrite   = "lookup.partial-cache.expire-after-write"
	OptLookupReload       = "lookup.full-cache.periodic-reload.interval"
	OptLookupReloadMethod = "lookup.full-cache.reload-strategy"
)

// LookupOptions are the options that ParseLookup reads.
func LookupOptions() []string {
	return []string{OptLookupCache, OptLookupRetries, OptLookupRows, OptLookupAfterWrite, OptLookupReload, OptLookupReloadMethod}
}

// LookupCache says which answers are kept.
type LookupCache uint8

// The caches: none; those of the last keys; the whole table.
const (
	InvalidCache LookupCache = iota
	NoCache
	PartialCache
	FullCache
)

// String is the cache as the option calls it.
func (c LookupCache) String() string {
	switch c {
	case NoCache:
		return "NONE"
	case PartialCache:
		return "PARTIAL"
	case FullCache:
		return "FULL"
	default:
		return "invalid"
	}
}

// The defaults of options.
const (
	lookupRetries = 3
	lookupRows    = 10_000
	maxRetries    = 100
)

// LookupSettings are what a table's options say of looking rows up in it.
type LookupSettings struct {
	Cache LookupCache
	// Retries are the times that a question that failed for a while is asked again.
	Retries int
	// Rows is how many keys a partial cache keeps, and Expire for how long: 0 is as long
	// as there is room.
	Rows   int64
	Expire time.Duration
	// Reload is how often a full cache is read anew; 0: never.
	Reload time.Duration
}

// ParseLookup reads the options of a table; without 'lookup.cache' the cache is the one
// given. Errors are of class InvalidSQL and name the option.
func ParseLookup(t Table, cache LookupCache) (LookupSettings, error) {
	s := LookupSettings{Cache: cache, Retries: lookupRetries}
	bad := func(key, want string) error {
		return failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %q is not %s", t.Name, key, t.Options[key], want)
	}
	switch v := strings.ToUpper(t.Options[OptLookupCache]); v {
	case "":
	case "NONE":
		s.Cache = NoCache
	case "PARTIAL":
		s.Cache = PartialCache
	case "FULL":
		s.Cache = FullCache
	default:
		return s, bad(OptLookupCache, "NONE, PARTIAL or FULL")
	}
	for key, of := range map[string]LookupCache{
		OptLookupRows: PartialCache, OptLookupAfterWrite: PartialCache, OptLookupReload: FullCache, OptLookupReloadMethod: FullCache,
	} {
		if _, given := t.Options[key]; given && s.Cache != of {
			return s, failure.Errorf(failure.InvalidSQL, "table %s: option '%s' is of '%s' = '%s', not of %s", t.Name, key, OptLookupCache, of, s.Cache)
		}
	}
	if v, given := t.Options[OptLookupRetries]; given {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > maxRetries {
			return s, bad(OptLookupRetries, "a number from 0 to "+strconv.Itoa(maxRetries))
		}
		s.Retries = n
	}
	if s.Cache == PartialCache {
		s.Rows = lookupRows
	}
	if v, given := t.Options[OptLookupRows]; given {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 1 {
			return s, bad(OptLookupRows, "a number of rows")
		}
		s.Rows = n
	}
	if v, given := t.Options[OptLookupReloadMethod]; given && !strings.EqualFold(v, "PERIODIC") {
		return s, bad(OptLookupReloadMethod, "PERIODIC")
	}
	for key, to := range map[string]*time.Duration{OptLookupAfterWrite: &s.Expire, OptLookupReload: &s.Reload} {
		if v, given := t.Options[key]; given {
			d, err := config.ParseDuration(v)
			if err != nil || d < time.Millisecond {
				return s, bad(key, "a duration such as 10 min")
			}
			*to = d
		}
	}
	return s, nil
}
