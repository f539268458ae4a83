package nexmark

import (
	"math/bits"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// The kinds of events, as event_type tells them.
const (
	person = iota
	auction
	bid
)

// Numbers of the reference generator.
const (
	firstID       = 1000 // of people and auctions
	firstCategory = 10
	categories    = 5
	hundred       = 100 // the hot one is among so many
	activePeople  = 1000
	inFlight      = 100 // auctions
	lead          = 10  // ids that may not exist yet
)

// Salts make the random numbers of one event independent of each other.
const (
	saltLate = iota
	saltDelay
	saltHotAuction
	saltAuction
	saltHotBidder
	saltBidder
	saltHotSeller
	saltSeller
	saltPrice
	saltReserve
	saltCategory
	saltExpires
	saltChannel
	saltCard
	saltCity
	saltState
	saltName
	saltEmail
	saltEmailText
	saltItem
	saltItemText
	saltDescription
	saltDescriptionText
	saltExtra
	saltExtraText
)

// random is splitmix64's finalizer over the event and a salt: the only source of
// randomness, so that an event depends on nothing else.
func random(event int64, salt uint64) uint64 {
	x := uint64(event)*0x9e3779b97f4a7c15 + (salt+1)*0xd1b54a32d192ed03
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below maps a random number to 0 ... n-1.
func below(x uint64, n int64) int64 {
	high, _ := bits.Mul64(x, uint64(n))
	return int64(high)
}

// generator makes batches of a source's columns.
type generator struct {
	o       options
	alloc   memory.Allocator
	kinds   [3]bool // that are wanted
	schema  *arrow.Schema
	columns []column
	texts   texts
	prices  *prices
	clock   bool // whether any column needs times

	// Of the batch: for each row the event, its place in the cycle of proportions,
	// the cycle, and its time, disorder not counted; and which rows are of each kind.
	events, places, cycles []int64
	times                  []int64
	picks                  []int32 // channels of bids, -1 in other rows
	valid                  [3]*memory.Buffer
	count                  [3]int
}

// column is a wanted column: event_type, or the fields of a ROW.
type column struct {
	kind   int // -1: event_type
	dtype  arrow.DataType
	fields []field
	nulls  arrow.Array // of which small batches without events of the kind have a part; nil: not needed yet
}

// field is a wanted field of a ROW and how it is made.
type field struct {
	dtype arrow.DataType
	make  maker
}

// maker makes a field of a kind for the rows of the batch; what it makes of the rows
// of other kinds nobody sees.
type maker func(g *generator, kind int, t arrow.DataType) arrow.ArrayData

// rowNames are the columns of the kinds.
var rowNames = [...]string{person: "person", auction: "auction", bid: "bid"}

func newGenerator(o options, s connector.SourceSpec, alloc memory.Allocator) (*generator, error) {
	if err := checkSchema(s.Columns); err != nil {
		return nil, err
	}
	g := &generator{o: o, alloc: alloc, kinds: wanted(s.Predicate), schema: s.Columns.Arrow()}
	for _, c := range s.Columns {
		out := column{kind: slices.Index(rowNames[:], c.Name), dtype: c.Type.Arrow()}
		for _, f := range c.Type.Fields {
			m, ok := makers[out.kind][f.Name]
			if !ok {
				return nil, failure.Errorf(failure.Internal, "nothing makes %s.%s", c.Name, f.Name)
			}
			g.clock = g.clock || f.Name == "dateTime" || f.Name == "expires"
			out.fields = append(out.fields, field{dtype: f.Type.Arrow(), make: m})
		}
		g.columns = append(g.columns, out)
	}
	g.texts.pool = newPool(slices.Max(o.avg[:]))
	return g, nil
}

// batch makes the wanted ones of n events from first on; nil if there are none.
func (g *generator) batch(base, first, n int64) *stream.Batch {
	g.choose(first, n)
	rows := len(g.events)
	if rows == 0 {
		return nil
	}
	if g.clock {
		g.tell(base)
	}
	g.mark()
	columns := make([]arrow.Array, len(g.columns))
	for i := range g.columns {
		data := g.column(&g.columns[i])
		columns[i] = array.MakeFromData(data)
		data.Release()
	}
	record := array.NewRecordBatch(g.schema, columns, int64(rows))
	for _, c := range columns {
		c.Release()
	}
	for k, b := range g.valid {
		if b != nil {
			b.Release()
			g.valid[k] = nil
		}
	}
	return stream.NewBatch(record)
}

// choose lists the wanted events of n from first on, and counts their kinds.
func (g *generator) choose(first, n int64) {
	g.events, g.places, g.cycles = g.events[:0], g.places[:0], g.cycles[:0]
	g.count = [3]int{}
	cycle, place := first/g.o.total, first%g.o.total
	for e := first; e < first+n; {
		k := g.kind(place)
		end := min(first+n, e+g.ends(k)-place) // of events of the same kind
		if g.kinds[k] {
			g.count[k] += int(end - e)
			for i := e; i < end; i++ {
				g.events, g.places, g.cycles = append(g.events, i), append(g.places, place+i-e), append(g.cycles, cycle)
			}
		}
		place += end - e
		e = end
		if place == g.o.total {
			cycle, place = cycle+1, 0
		}
	}
}

// kind is what the event at a place of each cycle is.
func (g *generator) kind(place int64) int {
	switch {
	case place < g.o.person:
		return person
	case place < g.o.person+g.o.auction:
		return auction
	default:
		return bid
	}
}

// ends is the place behind the last of a kind.
func (g *generator) ends(kind int) int64 {
	return []int64{g.o.person, g.o.person + g.o.auction, g.o.total}[kind]
}

// tell computes the times of events.
func (g *generator) tell(base int64) {
	g.times = slices.Grow(g.times[:0], len(g.events))[:len(g.events)]
	rate := g.o.rate
	seconds, rest := g.events[0]/rate, g.events[0]%rate
	for i, e := range g.events {
		if rest += e - g.events[max(i-1, 0)]; rest >= rate {
			seconds, rest = seconds+rest/rate, rest%rate
		}
		g.times[i] = base + seconds*1000 + rest*1000/rate
	}
}

// mark makes a bitmap of the rows of each kind that a column is about.
func (g *generator) mark() {
	for _, c := range g.columns {
		if c.kind < 0 || g.valid[c.kind] != nil || g.count[c.kind] == 0 || g.count[c.kind] == len(g.events) {
			continue
		}
		b := g.buffer(int(bitutil.BytesForBits(int64(len(g.events)))))
		clear(b.Buf())
		set := b.Bytes()
		for i, p := range g.places {
			if g.kind(p) == c.kind {
				set[i/8] |= 1 << (i % 8)
			}
		}
		g.valid[c.kind] = b
	}
}

func (g *generator) column(c *column) arrow.ArrayData {
	rows := len(g.events)
	if c.kind < 0 {
		b := g.buffer(4 * rows)
		v := arrow.Int32Traits.CastFromBytes(b.Bytes())
		for i, p := range g.places {
			v[i] = int32(g.kind(p))
		}
		return data(c.dtype, rows, 0, nil, b)
	}
	if g.count[c.kind] == 0 {
		return g.nulls(c, rows)
	}
	children := make([]arrow.ArrayData, len(c.fields))
	for i, f := range c.fields {
		children[i] = f.make(g, c.kind, f.dtype)
	}
	out := array.NewData(c.dtype, rows, []*memory.Buffer{g.valid[c.kind]}, children, rows-g.count[c.kind], 0)
	for _, child := range children {
		child.Release()
	}
	return out
}

// nulls is so many rows without an event of the column's kind. Making them anew was a twelfth of
// what a query took whose batches are small.
func (g *generator) nulls(c *column, rows int) arrow.ArrayData {
	if c.nulls == nil || c.nulls.Len() < rows || c.nulls.Len() > 4*rows {
		c.forget()
		c.nulls = array.MakeArrayOfNull(g.alloc, c.dtype, 2*rows)
	}
	all := c.nulls.Data()
	return array.NewData(c.dtype, rows, all.Buffers(), all.Children(), rows, 0)
}

func (c *column) forget() {
	if c.nulls != nil {
		c.nulls.Release()
		c.nulls = nil
	}
}

// close gives back what is kept between batches.
func (g *generator) close() {
	for i := range g.columns {
		g.columns[i].forget()
	}
}

func (g *generator) buffer(bytes int) *memory.Buffer {
	b := memory.NewResizableBuffer(g.alloc)
	b.Resize(bytes)
	return b
}

// data makes array data of buffers, which it takes over, but not the bitmap.
func data(t arrow.DataType, rows, nulls int, valid *memory.Buffer, buffers ...*memory.Buffer) arrow.ArrayData {
	out := array.NewData(t, rows, append([]*memory.Buffer{valid}, buffers...), nil, nulls, 0)
	for _, b := range buffers {
		b.Release()
	}
	return out
}

// numbers makes a field of 64-bit numbers, which fill computes for the rows from 0 on.
func (g *generator) numbers(kind int, t arrow.DataType, fill func(v []int64)) arrow.ArrayData {
	b := g.buffer(8 * len(g.events))
	fill(arrow.Int64Traits.CastFromBytes(b.Bytes()))
	return data(t, len(g.events), len(g.events)-g.count[kind], g.valid[kind], b)
}
