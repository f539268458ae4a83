package nexmark

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
)

// makers are how the fields of each kind are made, by name.
var makers = [...]map[string]maker{
	person: {
		"id":           makePersonID,
		"name":         makePersonName,
		"emailAddress": makeEmail,
		"creditCard":   makeCard,
		"city":         choice(cities, saltCity),
		"state":        choice(states, saltState),
		"dateTime":     makeTime,
		"extra":        makeExtra,
	},
	auction: {
		"id":          makeAuctionID,
		"itemName":    words(itemMost, saltItem, saltItemText),
		"description": words(descriptionMost, saltDescription, saltDescriptionText),
		"initialBid":  makePrice,
		"reserve":     makeReserve,
		"dateTime":    makeTime,
		"expires":     makeExpires,
		"seller":      makeSeller,
		"category":    makeCategory,
		"extra":       makeExtra,
	},
	bid: {
		"auction":  makeBidAuction,
		"bidder":   makeBidder,
		"price":    makePrice,
		"channel":  makeChannel,
		"url":      makeURL,
		"dateTime": makeTime,
		"extra":    makeExtra,
	},
}

// lastPerson is the number, from 0, of the latest person when an event comes.
func (o *options) lastPerson(cycle, place int64) int64 {
	return cycle*o.person + min(place, o.person-1)
}

// lastAuction is the number, from 0, of the latest auction, below 0 before the first.
func (o *options) lastAuction(cycle, place int64) int64 {
	if place < o.person {
		return cycle*o.auction - 1
	}
	return cycle*o.auction + min(place-o.person, o.auction-1)
}

// somePerson is one of the active people, or of those to come.
func somePerson(last int64, x uint64) int64 {
	active := min(last+1, activePeople)
	return last + 1 - active + below(x, active+lead)
}

func makePersonID(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	return g.numbers(kind, t, func(v []int64) {
		for i, p := range g.places {
			v[i] = g.o.lastPerson(g.cycles[i], p) + firstID
		}
	})
}

func makeAuctionID(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	return g.numbers(kind, t, func(v []int64) {
		for i, p := range g.places {
			v[i] = g.o.lastAuction(g.cycles[i], p) + firstID
		}
	})
}

// makeBidAuction takes the first of the latest hundred auctions, or one in flight.
func makeBidAuction(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	hot := uint64(math.MaxUint64) / uint64(g.o.hotAuction)
	return g.numbers(kind, t, func(v []int64) {
		for i, e := range g.events {
			last := max(g.o.lastAuction(g.cycles[i], g.places[i]), 0)
			if random(e, saltHotAuction) > hot {
				v[i] = last/hundred*hundred + firstID
				continue
			}
			least := max(last-inFlight, 0)
			v[i] = least + below(random(e, saltAuction), last-least+1+lead) + firstID
		}
	})
}

// makeBidder takes the second of the latest hundred people, who is not the hot
// seller, or one of the active ones.
func makeBidder(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	hot, first := uint64(math.MaxUint64)/uint64(g.o.hotBidder), int64(firstID)
	if g.o.twice {
		first += firstID
	}
	return g.numbers(kind, t, func(v []int64) {
		for i, e := range g.events {
			last := g.o.lastPerson(g.cycles[i], g.places[i])
			if random(e, saltHotBidder) > hot {
				v[i] = last/hundred*hundred + 1 + first
				continue
			}
			v[i] = somePerson(last, random(e, saltBidder)) + first
		}
	})
}

func makeSeller(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	hot := uint64(math.MaxUint64) / uint64(g.o.hotSeller)
	return g.numbers(kind, t, func(v []int64) {
		for i, e := range g.events {
			last := g.o.lastPerson(g.cycles[i], g.places[i])
			if random(e, saltHotSeller) > hot {
				v[i] = last/hundred*hundred + firstID
				continue
			}
			v[i] = somePerson(last, random(e, saltSeller)) + firstID
		}
	})
}

// prices are powers of ten with exponents from 0 to 6 in steps of 6 / 2^12 and
// 6 / 2^24: their products are spread as 10^(6 U) is, without computing it.
type prices struct{ coarse, fine [1 << 12]float64 }

func newPrices() *prices {
	p := &prices{}
	for i := range p.coarse {
		p.coarse[i] = math.Pow(10, 6*float64(i)/(1<<12)) * 100
		p.fine[i] = math.Pow(10, 6*float64(i)/(1<<24))
	}
	return p
}

// of is a price by a random number.
func (p *prices) of(x uint64) int64 {
	return int64(p.coarse[x>>52]*p.fine[x>>40&(1<<12-1)] + 0.5)
}

func (g *generator) price() *prices {
	if g.prices == nil {
		g.prices = newPrices()
	}
	return g.prices
}

func makePrice(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	p := g.price()
	return g.numbers(kind, t, func(v []int64) {
		for i, e := range g.events {
			v[i] = p.of(random(e, saltPrice))
		}
	})
}

func makeReserve(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	p := g.price()
	return g.numbers(kind, t, func(v []int64) {
		for i, e := range g.events {
			v[i] = p.of(random(e, saltPrice)) + p.of(random(e, saltReserve))
		}
	})
}

func makeCategory(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	return g.numbers(kind, t, func(v []int64) {
		for i, e := range g.events {
			v[i] = firstCategory + below(random(e, saltCategory), categories)
		}
	})
}

func makeTime(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	return g.numbers(kind, t, func(v []int64) {
		copy(v, g.times)
		g.disorder(v)
	})
}

// disorder takes a delay off the times of a share of the events.
func (g *generator) disorder(v []int64) {
	if g.o.lateShare == 0 {
		return
	}
	late := uint64(g.o.lateShare * (1 << 53))
	for i, e := range g.events {
		if random(e, saltLate)>>11 < late {
			v[i] -= 1 + below(random(e, saltDelay), g.o.lateMillis)
		}
	}
}

// makeExpires closes an auction within twice the time in which a hundred are opened.
func makeExpires(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	horizon := max(2*inFlight*g.o.total*1000/(g.o.auction*g.o.rate), 1)
	return g.numbers(kind, t, func(v []int64) {
		copy(v, g.times)
		g.disorder(v)
		for i, e := range g.events {
			v[i] += 1 + below(random(e, saltExpires), horizon)
		}
	})
}
