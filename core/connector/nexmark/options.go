package nexmark

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/option"
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
	p := parser{option.New(t)}
	o := options{
		first:   p.Integer("first-event-id", 0, 0, maxEvents),
		num:     p.Integer("events.num", 0, 0, maxEvents),
		tps:     p.Integer("tps", 0, 0, 1<<32),
		person:  p.Integer("person.proportion", 1, 0, 1000),
		auction: p.Integer("auction.proportion", 3, 0, 1000),
		bid:     p.Integer("bid.proportion", 46, 0, 1000),
		avg: [3]int{
			int(p.Integer("person.avg-size", 200, 0, maxSize)),
			int(p.Integer("auction.avg-size", 500, 0, maxSize)),
			int(p.Integer("bid.avg-size", 100, 0, maxSize)),
		},
		hotAuction: p.Integer("auction.hot-ratio", 2, 1, 1<<32),
		hotSeller:  p.Integer("seller.hot-ratio", 4, 1, 1<<32),
		hotBidder:  p.Integer("bidder.hot-ratio", 4, 1, 1<<32),
		lateShare:  p.Real("out-of-order.fraction", 0, 0, 1),
		lateMillis: p.duration("out-of-order.delay", 3*time.Second).Milliseconds(),
		twice:      p.boolean("bidder-id.compat"),
	}
	o.rate = p.rate()
	o.base, o.now = p.baseTime()
	o.total = o.person + o.auction + o.bid
	if o.person == 0 || o.auction == 0 {
		p.Fail("options 'person.proportion' and 'auction.proportion': bids need people and auctions, so neither may be 0")
	}
	if err := p.End(Name); err != nil {
		return o, err
	}
	if err := checkSchema(t.Schema); err != nil {
		p.Fail("%w", err)
	}
	return o, p.End(Name)
}

// end is the number behind the last event.
func (o *options) end() int64 {
	if o.num == 0 {
		return maxEvents * 2
	}
	return o.first + o.num
}

// parser also takes what only this connector has.
type parser struct{ *option.Parser }

func (p *parser) duration(key string, def time.Duration) time.Duration {
	text, ok := p.Take(key)
	if !ok {
		return def
	}
	d, err := config.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > 24*time.Hour {
		p.Fail("option '%s': %q is not a time from 1 ms to 1 day", key, text)
	}
	return d
}

func (p *parser) boolean(key string) bool {
	text, ok := p.Take(key)
	if !ok {
		return false
	}
	b, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		p.Fail("option '%s': %q is not true or false", key, text)
	}
	return b
}

// rate takes the option under any of its names; those that are given must agree,
// since the rate does not change.
func (p *parser) rate() int64 {
	const def = 10000
	rate, from := int64(0), ""
	for _, key := range []string{"event-rate", "first-event.rate", "next-event.rate"} {
		n := p.Integer(key, 0, 1, 1<<32)
		switch {
		case n == 0:
		case rate == 0:
			rate, from = n, key
		case n != rate:
			p.Fail("options '%s' and '%s': the rate is the same for all events, not %d and %d", from, key, rate, n)
		}
	}
	if rate == 0 {
		return def
	}
	return rate
}

func (p *parser) baseTime() (millis int64, now bool) {
	text, ok := p.Take("base-time")
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
	p.Fail("option 'base-time': %q is not a time like 2015-07-15 00:00:00, or now", text)
	return 0, false
}
