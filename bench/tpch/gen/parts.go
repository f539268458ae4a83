package gen

import "slices"

const wordsPerName = 5

func (g *generator) part(first, count int64, into columns) {
	at := rowStreams{first: first}
	name, maker, brand := at.open(709314158, int64(len(g.words.colors))), at.open(1, 1), at.open(46831694, 1)
	kind, size, container := at.open(1841581359, 1), at.open(1193163244, 1), at.open(727633698, 1)
	comment := newComments(g.text, at.open(804159733, 2), 14)
	keys, names, makers, brands := into.key(0), into.text(1), into.text(2), into.text(3)
	kinds, sizes, containers, prices, texts := into.text(4), into.number(5), into.text(6), into.money(7), into.text(8)
	var b []byte
	shuffled := slices.Clone(g.words.colors)
	for k := first + 1; k <= first+count; k++ {
		keys.Append(k)
		b = g.appendName(b[:0], name, shuffled)
		names.bytes(b)
		m := maker.between(1, 5)
		makers.bytes(appendPadded(append(b[:0], "Manufacturer#"...), m, 1))
		brands.bytes(appendPadded(append(b[:0], "Brand#"...), m*10+brand.between(1, 5), 2))
		kinds.Append(g.words.types.draw(kind))
		sizes.Append(int32(size.between(1, 50)))
		containers.Append(g.words.containers.draw(container))
		prices.cents(price(k))
		texts.Append(comment.next())
		at.next()
	}
}

// appendName draws five different colors: the head of a shuffle.
func (g *generator) appendName(b []byte, s *stream, shuffled words) []byte {
	copy(shuffled, g.words.colors)
	for i := range wordsPerName {
		j := s.between(int64(i), int64(len(shuffled))-1)
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, shuffled[i]...)
	}
	return b
}

func (g *generator) partsupp(first, count int64, into columns) {
	at := rowStreams{first: first}
	quantity, cost := at.open(1671059989, suppliersPerPart), at.open(1051288424, suppliersPerPart)
	comment := newComments(g.text, at.open(1961692154, 2*suppliersPerPart), 124)
	parts, suppliers, quantities, costs, texts := into.key(0), into.key(1), into.number(2), into.money(3), into.text(4)
	for k := first + 1; k <= first+count; k++ {
		for n := range int64(suppliersPerPart) {
			parts.Append(k)
			suppliers.Append(g.supplierOf(k, n))
			quantities.Append(int32(quantity.between(1, 9_999)))
			costs.cents(cost.between(100, 100_000))
			texts.Append(comment.next())
		}
		at.next()
	}
}
