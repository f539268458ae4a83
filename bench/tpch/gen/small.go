package gen

import "bytes"

func (g *generator) region(first, count int64, into columns) {
	at := rowStreams{first: first}
	comment := newComments(g.text, at.open(1500869201, 2), 72)
	keys, names, texts := into.key(0), into.text(1), into.text(2)
	for k := first; k < first+count; k++ {
		keys.Append(k)
		names.Append(g.words.regions[k])
		texts.Append(comment.next())
		at.next()
	}
}

func (g *generator) nation(first, count int64, into columns) {
	at := rowStreams{first: first}
	comment := newComments(g.text, at.open(606179079, 2), 72)
	keys, names, regions, texts := into.key(0), into.text(1), into.key(2), into.text(3)
	for k := first; k < first+count; k++ {
		keys.Append(k)
		names.Append(g.words.nations[k])
		regions.Append(g.words.regionOf[k])
		texts.Append(comment.next())
		at.next()
	}
}

// Balances of accounts, in cents.
const (
	lowestBalance  = -99_999
	highestBalance = 999_999
)

func (g *generator) customer(first, count int64, into columns) {
	at := rowStreams{first: first}
	address, nation, phone := at.open(881155353, addressDraws), at.open(1489529863, 1), at.open(1521138112, 3)
	balance, segment := at.open(298370230, 1), at.open(1140279430, 1)
	comment := newComments(g.text, at.open(1335826707, 2), 73)
	keys, names, addresses, nations := into.key(0), into.text(1), into.text(2), into.key(3)
	phones, balances, segments, texts := into.text(4), into.money(5), into.text(6), into.text(7)
	var b []byte
	for k := first + 1; k <= first+count; k++ {
		keys.Append(k)
		names.bytes(appendPadded(append(b[:0], "Customer#"...), k, 9))
		b = appendAddress(b[:0], address)
		addresses.bytes(b)
		n := nation.between(0, int64(len(g.words.nations))-1)
		nations.Append(n)
		phones.bytes(appendPhone(b[:0], phone, n))
		balances.cents(balance.between(lowestBalance, highestBalance))
		segments.Append(g.words.segments.draw(segment))
		texts.Append(comment.next())
		at.next()
	}
}

func (g *generator) supplier(first, count int64, into columns) {
	at := rowStreams{first: first}
	address, nation, phone, balance := at.open(706178559, addressDraws), at.open(110356601, 1), at.open(884434366, 3), at.open(962338209, 1)
	comment := newComments(g.text, at.open(1341315363, 2), 63)
	opinion := opinions{chosen: at.open(202794285, 1), gap: at.open(263032577, 1), place: at.open(715851524, 1), kind: at.open(753643799, 1)}
	keys, names, addresses, nations := into.key(0), into.text(1), into.text(2), into.key(3)
	phones, balances, texts := into.text(4), into.money(5), into.text(6)
	var b []byte
	for k := first + 1; k <= first+count; k++ {
		keys.Append(k)
		names.bytes(appendPadded(append(b[:0], "Supplier#"...), k, 9))
		b = appendAddress(b[:0], address)
		addresses.bytes(b)
		n := nation.between(0, int64(len(g.words.nations))-1)
		nations.Append(n)
		phones.bytes(appendPhone(b[:0], phone, n))
		balances.cents(balance.between(lowestBalance, highestBalance))
		b = opinion.write(append(b[:0], comment.next()...))
		texts.bytes(b)
		at.next()
	}
}

// opinions are what a few suppliers' comments say of them.
type opinions struct{ chosen, gap, place, kind *stream }

// write puts "Customer ... Complaints" or "Customer ... Recommends" over a part of
// a comment in ten of ten thousand cases.
func (o opinions) write(comment []byte) []byte {
	const who, complaint, praise = "Customer ", "Complaints", "Recommends"
	if o.chosen.between(1, suppliersAtOne) > 10 {
		return comment
	}
	room := int64(len(comment) - len(who) - len(complaint))
	gap := o.gap.between(0, room)
	at := o.place.between(0, room-gap)
	what := praise
	if o.kind.between(0, 100) < 50 {
		what = complaint
	}
	comment = bytes.Clone(comment)
	copy(comment[at:], who)
	copy(comment[at+int64(len(who))+gap:], what)
	return comment
}
