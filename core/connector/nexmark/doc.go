// Package nexmark is the connector of generated auctions: people who register,
// auctions that they open and bids that they place, as in the Nexmark benchmark.
//
// A table has event_type (0 a person, 1 an auction, 2 a bid) and a ROW for each
// kind, null in the rows of the others:
//
//	person   id, name, emailAddress, creditCard, city, state, dateTime, extra
//	auction  id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra
//	bid      auction, bidder, price, channel, url, dateTime, extra
//
// Event n is a pure function of n and the options: any parallelism, a restart or a
// rescale gives the same events, so that results can be checked exactly. Splits are
// ranges of n, handed out in ascending order, so that event time ascends in each
// subtask. Only what is asked for is made: columns, fields of a ROW (a column may
// be a ROW with fewer fields), and rows, where the predicate is about event_type.
//
// Proportions, hot keys, prices and sizes are those of the reference generator,
// which differs in its random source, whose seed is never the same.
//
// Options; in brackets names of the reference that mean the same:
//
//	events.num                   makes the source bounded; 0, the default: unbounded
//	first-event-id               number of the first event, default 0
//	event-rate                   events per second of event time, default 10000
//	                             [first-event.rate, next-event.rate]
//	base-time                    event time of event 0, default 2015-07-15 00:00:00; now is the job's start
//	tps                          events per second of the clock; 0, the default: as fast as can be
//	person.proportion            of people among person + auction + bid events, default 1
//	auction.proportion           of auctions, default 3
//	bid.proportion               of bids, default 46
//	person.avg-size              bytes of a person with its padding, default 200
//	auction.avg-size             of an auction, default 500
//	bid.avg-size                 of a bid, default 100
//	auction.hot-ratio            one bid in so many is not for a hot auction, default 2
//	seller.hot-ratio             one auction in so many is not of a hot seller, default 4
//	bidder.hot-ratio             one bid in so many is not by a hot bidder, default 4
//	out-of-order.fraction        share of events whose time is earlier than its turn, default 0
//	out-of-order.delay           by how much at most, default 3s
//	bidder-id.compat             whether bidders' ids have the base of ids added twice, as in the reference
package nexmark
