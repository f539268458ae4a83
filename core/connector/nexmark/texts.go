package nexmark

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
)

// Longest texts, and what the numbers of an event count for its size.
const (
	textLeast       = 3
	itemMost        = 20
	descriptionMost = 100
	emailUser       = 7
	emailHost       = 5
	cardBytes       = 19
	auctionNumbers  = 8 * 6
	bidNumbers      = 8 * 4
)

const (
	channels    = 10000
	hotChannels = 4
)

var (
	cities     = list("Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne")
	states     = list("AZ", "CA", "ID", "OR", "WA", "WY")
	firstNames = list("Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter")
	lastNames  = list("Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris")
)

func list(words ...string) []string { return words }

// texts are what text fields are cut from; parts are made when they are needed.
type texts struct {
	pool          []byte // random letters, with a space now and then
	channels, url []string
}

// poolBytes is as much as stays in a core's cache.
const poolBytes = 1 << 15

// newPool makes letters enough to cut texts of average size most from.
func newPool(most int) []byte {
	pool := make([]byte, poolBytes+2*most+descriptionMost)
	for i := range pool {
		x := random(int64(i), 0)
		if pool[i] = byte('a' + below(x, 26)); x%13 == 0 {
			pool[i] = ' '
		}
	}
	return pool
}

// cut is text of n bytes that a random number chooses.
func (t *texts) cut(x uint64, n int) []byte {
	at := int(x % poolBytes)
	return t.pool[at : at+n]
}

// strings makes a field of people and auctions, who are few: size is the length of each
// text, write fills it in. Both are called for rows of the kind only.
func (g *generator) strings(kind int, t arrow.DataType, size func(i int) int, write func(i int, dst []byte)) arrow.ArrayData {
	rows := len(g.events)
	offsets := g.buffer(4 * (rows + 1))
	at, total := arrow.Int32Traits.CastFromBytes(offsets.Bytes()), 0
	all := g.count[kind] == rows
	for i, p := range g.places {
		at[i] = int32(total)
		if all || g.kind(p) == kind {
			total += size(i)
		}
	}
	at[rows] = int32(total)
	values := g.buffer(total)
	dst := values.Bytes()
	for i := range rows {
		if from, to := at[i], at[i+1]; from < to {
			write(i, dst[from:to])
		}
	}
	return data(t, rows, rows-g.count[kind], g.valid[kind], offsets, values)
}

// choice makes a field of one of a few texts.
func choice(from []string, salt uint64) maker {
	pick := func(g *generator, i int) string { return from[below(random(g.events[i], salt), int64(len(from)))] }
	return func(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
		return g.strings(kind, t,
			func(i int) int { return len(pick(g, i)) },
			func(i int, dst []byte) { copy(dst, pick(g, i)) })
	}
}

// length is the length of a text below most.
func length(x uint64, most int64) int { return textLeast + int(below(x, most-textLeast)) }

// words makes a field of random words.
func words(most int64, salt, textSalt uint64) maker {
	return func(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
		return g.strings(kind, t,
			func(i int) int { return length(random(g.events[i], salt), most) },
			func(i int, dst []byte) {
				copy(dst, g.texts.cut(random(g.events[i], textSalt), len(dst)))
				for _, edge := range []int{0, len(dst) - 1} { // a text is trimmed
					if dst[edge] == ' ' {
						dst[edge] = 'x'
					}
				}
			})
	}
}

func personName(e int64) (first, last string) {
	x := random(e, saltName)
	return firstNames[below(x, int64(len(firstNames)))], lastNames[below(bits.RotateLeft64(x, 32), int64(len(lastNames)))]
}

func makePersonName(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	return g.strings(kind, t,
		func(i int) int { return nameSize(g.events[i]) },
		func(i int, dst []byte) {
			first, last := personName(g.events[i])
			copy(dst, first)
			dst[len(first)] = ' '
			copy(dst[len(first)+1:], last)
		})
}

func nameSize(e int64) int {
	first, last := personName(e)
	return len(first) + 1 + len(last)
}

// email returns the lengths of the parts of an address around the @.
func email(e int64) (user, host int) {
	x := random(e, saltEmail)
	return length(x, emailUser), length(bits.RotateLeft64(x, 32), emailHost)
}

func emailSize(e int64) int {
	user, host := email(e)
	return user + len("@") + host + len(".com")
}

func makeEmail(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	return g.strings(kind, t,
		func(i int) int { return emailSize(g.events[i]) },
		func(i int, dst []byte) {
			user, host := email(g.events[i])
			copy(dst, g.texts.cut(random(g.events[i], saltEmailText), user+1+host))
			for j, c := range dst[:user+1+host] {
				if c == ' ' {
					dst[j] = 'x'
				}
			}
			dst[user] = '@'
			copy(dst[user+1+host:], ".com")
		})
}

func makeCard(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	return g.strings(kind, t,
		func(int) int { return cardBytes },
		func(i int, dst []byte) {
			x := random(g.events[i], saltCard)
			for j := range dst {
				if dst[j] = ' '; j%5 != 4 {
					high, low := bits.Mul64(x, 10) // digit by digit of a fraction
					dst[j], x = byte('0'+high), low
				}
			}
		})
}

// fillChannels makes the texts of channels: the hot ones first, and each with a URL of
// its own, of which most name the channel.
func (t *texts) fillChannels() {
	if t.channels != nil {
		return
	}
	t.channels, t.url = make([]string, hotChannels+channels), make([]string, hotChannels+channels)
	for i := range t.channels {
		x := random(int64(i), saltChannel)
		part := func(at int) string {
			x := random(int64(i), uint64(saltExtraText+1+at))
			letters := make([]byte, length(x, 5))
			for j := range letters {
				high, low := bits.Mul64(x, 27)
				letters[j], x = "abcdefghijklmnopqrstuvwxyz_"[high], low
			}
			return string(letters)
		}
		t.url[i] = fmt.Sprintf("https://www.nexmark.com/%s/%s/%s/item.htm?query=1", part(0), part(1), part(2))
		if i < hotChannels {
			t.channels[i] = []string{"Google", "Facebook", "Baidu", "Apple"}[i]
			continue
		}
		n := i - hotChannels
		t.channels[i] = fmt.Sprintf("channel-%d", n)
		if below(x, 10) > 0 {
			id := int64(int32(bits.Reverse32(uint32(n)))) // with its sign, as the reference has it
			t.url[i] += fmt.Sprintf("&channel_id=%d", max(id, -id))
		}
	}
}

// channel is where a bid comes from: half of them from a hot one.
func channel(e int64) int {
	x := random(e, saltChannel)
	if x>>63 == 0 {
		return int(x & (hotChannels - 1))
	}
	return hotChannels + int(below(x<<1, channels))
}

func makeChannel(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	g.texts.fillChannels()
	return g.listed(kind, t, g.texts.channels)
}

func makeURL(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	g.texts.fillChannels()
	return g.listed(kind, t, g.texts.url)
}

// listed makes a field of a text for each channel.
func (g *generator) listed(kind int, t arrow.DataType, of []string) arrow.ArrayData {
	rows := len(g.events)
	g.picks = slices.Grow(g.picks[:0], rows)[:rows]
	offsets := g.buffer(4 * (rows + 1))
	at, total, all := arrow.Int32Traits.CastFromBytes(offsets.Bytes()), 0, g.count[kind] == rows
	for i, e := range g.events {
		at[i], g.picks[i] = int32(total), -1
		if all || g.kind(g.places[i]) == kind {
			pick := channel(e)
			g.picks[i] = int32(pick)
			total += len(of[pick])
		}
	}
	at[rows] = int32(total)
	values := g.buffer(total)
	dst := values.Bytes()
	for i, pick := range g.picks {
		if pick >= 0 {
			copy(dst[at[i]:], of[pick])
		}
	}
	return data(t, rows, rows-g.count[kind], g.valid[kind], offsets, values)
}

// makeExtra pads events to their average size, 20 % more or less.
func makeExtra(g *generator, kind int, t arrow.DataType) arrow.ArrayData {
	rows, average := len(g.events), g.o.avg[kind]
	offsets := g.buffer(4 * (rows + 1))
	at, total, all := arrow.Int32Traits.CastFromBytes(offsets.Bytes()), 0, g.count[kind] == rows
	for i, e := range g.events {
		at[i] = int32(total)
		if all || g.kind(g.places[i]) == kind {
			total += padding(average-size(kind, e), random(e, saltExtra))
		}
	}
	at[rows] = int32(total)
	values := g.buffer(total)
	dst := values.Bytes()
	for i, e := range g.events {
		if part := dst[at[i]:at[i+1]]; len(part) > 0 {
			copy(part, g.texts.cut(random(e, saltExtraText), len(part)))
		}
	}
	return data(t, rows, rows-g.count[kind], g.valid[kind], offsets, values)
}

// size is that of an event without its padding, as the reference counts it.
func size(kind int, e int64) int {
	switch kind {
	case person:
		city := cities[below(random(e, saltCity), int64(len(cities)))]
		return 8 + nameSize(e) + emailSize(e) + cardBytes + len(city) + len("AZ")
	case auction:
		return auctionNumbers + length(random(e, saltItem), itemMost) + length(random(e, saltDescription), descriptionMost)
	default:
		return bidNumbers
	}
}

func padding(average int, x uint64) int {
	if average <= 0 {
		return 0
	}
	delta := (average + 2) / 5
	if delta == 0 {
		return average
	}
	return average - delta + int(below(x, int64(2*delta)))
}
