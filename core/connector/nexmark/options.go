package nexmark

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/suggest"
)

// Name is the value of the 'connector' option.
const Name = "nexmark"

// maxEvents bounds event numbers, so that nothing that is computed of them overflows.
const maxEvents = 1 << 48

// maxSize bounds the average sizes of events.
const maxSize = 1 << 14

// options are a table's options, read.
type options struct {
	first, num           int64 // num 0: unbounded
	tps, rate            int64
	base                 int64 // event time of event 0 in milliseconds; unless now
	now                  bool
	person, auction, bid int64 // proportions
	total                int64 // their sum
	avg                  [3]int
	hotAuction           int64
	hotSeller            int64
	hotBidder            int64
	lateShare            float64
	lateMillis           int64
	twice                bool // bidder ids have the base added twice
}

func parse(t connector.Table) (options, error) {
	p := parser{table: t, left: maps.Clone(t.Options)}
	delete(p.left, "connector")
	o := options{
		first:   p.integer("first-event-id", 0, 0, maxEvents),
		num:     p.integer("events.num", 0, 0, maxEvents),
		tps:     p.integer("tps", 0, 0, 1<<32),
		person:  p.integer("person.proportion", 1, 0, 1000),
		auction: p.integer("auction.proportion", 3, 0, 1000),
		bid:     p.integer("bid.proportion", 46, 0, 1000),
		avg: [3]int{
			int(p.integer("person.avg-size", 200, 0, maxSize)),
			int(p.integer("auction.avg-size", 500, 0, maxSize)),
			int(p.integer("bid.avg-size", 100, 0, maxSize)),
		},
		hotAuction: p.integer("auction.hot-ratio", 2, 1, 1<<32),
		hotSeller:  p.integer("seller.hot-ratio", 4, 1, 1<<32),
		hotBidder:  p.integer("bidder.hot-ratio", 4, 1, 1<<32),
		lateShare:  p.share("out-of-order.fraction"),
		lateMillis: p.duration("out-of-order.delay", 3*time.Second).Milliseconds(),
		twice:      p.boolean("bidder-id.compat"),
	}
	o.rate = p.rate()
	o.base, o.now = p.baseTime()
	o.total = o.person + o.auction + o.bid
	if o.person == 0 || o.auction == 0 {
		p.fail("options 'person.proportion' and 'auction.proportion': bids need people and auctions, so neither may be 0")
	}
	if p.err == nil && len(p.left) > 0 {
		p.unknown()
	}
	if err := checkSchema(t.Schema); p.err == nil && err != nil {
		p.fail("%w", err)
	}
	return o, p.err
}

// end is the number behind the last event.
func (o *options) end() int64 {
	if o.num == 0 {
		return maxEvents * 2
	}
	return o.first + o.num
}

// parser takes options one by one and keeps the first error.
type parser struct {
	table connector.Table
	left  map[string]string
	asked []string
	err   error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = failure.Errorf(failure.InvalidSQL, "table %s: %w", p.table.Name, fmt.Errorf(format, args...))
	}
}

func (p *parser) take(key string) (string, bool) {
	p.asked = append(p.asked, key)
	v, ok := p.left[key]
	delete(p.left, key)
	return v, ok
}

func (p *parser) integer(key string, def, least, most int64) int64 {
	text, ok := p.take(key)
	if !ok {
		return def
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		p.fail("option '%s': %q is not a whole number from %d to %d", key, text, least, most)
	}
	return n
}

func (p *parser) share(key string) float64 {
	text, ok := p.take(key)
	if !ok {
		return 0
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= 0 && x <= 1) {
		p.fail("option '%s': %q is not a number from 0 to 1", key, text)
	}
	return x
}

func (p *parser) duration(key string, def time.Duration) time.Duration {
	text, ok := p.take(key)
	if !ok {
		return def
	}
	d, err := config.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > 24*time.Hour {
		p.fail("option '%s': %q is not a time from 1 ms to 1 day", key, text)
	}
	return d
}

func (p *parser) boolean(key string) bool {
	text, ok := p.take(key)
	if !ok {
		return false
	}
	b, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		p.fail("option '%s': %q is not true or false", key, text)
	}
	return b
}

// rate takes the option under any of its names; those that are given must agree,
// since the rate does not change.
func (p *parser) rate() int64 {
	const def = 10000
	rate, from := int64(0), ""
	for _, key := range []string{"event-rate", "first-event.rate", "next-event.rate"} {
		n := p.integer(key, 0, 1, 1<<32)
		switch {
		case n == 0:
		case rate == 0:
			rate, from = n, key
		case n != rate:
			p.fail("options '%s' and '%s': the rate is the same for all events, not %d and %d", from, key, rate, n)
		}
	}
	if rate == 0 {
		return def
	}
	return rate
}

func (p *parser) baseTime() (millis int64, now bool) {
	text, ok := p.take("base-time")
	switch {
	case !ok:
		return time.Date(2015, 7, 15, 0, 0, 0, 0, time.UTC).UnixMilli(), false
	case strings.EqualFold(text, "now"):
		return 0, true
	}
	for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil { // which reads fractions too
			return at.UnixMilli(), false
		}
	}
	p.fail("option 'base-time': %q is not a time like 2015-07-15 00:00:00, or now", text)
	return 0, false
}

func (p *parser) unknown() {
	key := slices.Min(slices.Collect(maps.Keys(p.left)))
	hint := ""
	if near := suggest.Closest(key, p.asked); near != "" {
		hint = "; did you mean '" + near + "'?"
	}
	p.fail("unknown option '%s' of connector %s%s", key, Name, hint)
}
