package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

func TestParseLookup(t *testing.T) {
	for text, want := range map[string]connector.LookupSettings{
		"":                                       {Cache: connector.FullCache, Retries: 3},
		"lookup.cache=none lookup.max-retries=0": {Cache: connector.NoCache},
		"lookup.cache=PARTIAL":                   {Cache: connector.PartialCache, Retries: 3, Rows: 10_000},
		"lookup.cache=PARTIAL lookup.partial-cache.max-rows=7 lookup.partial-cache.expire-after-write=5s":              {Cache: connector.PartialCache, Retries: 3, Rows: 7, Expire: 5 * time.Second},
		"lookup.full-cache.periodic-reload.interval=1min lookup.full-cache.reload-strategy=periodic lookup.cache=FULL": {Cache: connector.FullCache, Retries: 3, Reload: time.Minute},
	} {
		got, err := connector.ParseLookup(table(text), connector.FullCache)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseLookupRefuses(t *testing.T) {
	for text, option := range map[string]string{
		"lookup.cache=ALL":                                                  connector.OptLookupCache,
		"lookup.max-retries=-1":                                             connector.OptLookupRetries,
		"lookup.partial-cache.max-rows=7":                                   connector.OptLookupRows,
		"lookup.cache=PARTIAL lookup.partial-cache.max-rows=0":              connector.OptLookupRows,
		"lookup.cache=PARTIAL lookup.partial-cache.expire-after-write=soon": connector.OptLookupAfterWrite,
		"lookup.full-cache.periodic-reload.interval=0s":                     connector.OptLookupReload,
		"lookup.full-cache.reload-strategy=TIMED":                           connector.OptLookupReloadMethod,
	} {
		_, err := connector.ParseLookup(table(text), connector.FullCache)
		if failure.Of(err) != failure.InvalidSQL || !strings.Contains(err.Error(), option) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// table has options written key=value.
func table(text string) connector.Table {
	t := connector.Table{Name: "side", Options: map[string]string{}}
	for _, part := range strings.Fields(text) {
		key, value, _ := strings.Cut(part, "=")
		t.Options[key] = value
	}
	return t
}
