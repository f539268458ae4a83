package gen

// Days since 1970. Nothing is shipped or received after today.
const (
	firstOrderDay = 8035                 // 1992-01-01
	lastOrderDay  = firstOrderDay + 2405 // 1998-08-02: the last receipt is in 1998, too
	today         = 9298                 // 1995-06-17
)

// lines are the streams that orders and line items have in common: from them both
// compute the same prices and states.
type lines struct {
	date, count                         *stream
	quantity, discount, tax, part, ship *stream
}

func openLines(at *rowStreams) lines {
	return lines{
		date: at.open(1066728069, 1), count: at.open(1434868289, 1),
		quantity: at.open(209208115, linesPerOrder), discount: at.open(554590007, linesPerOrder), tax: at.open(721958466, linesPerOrder),
		part: at.open(1808217256, linesPerOrder), ship: at.open(1769349045, linesPerOrder),
	}
}

// line is what one draw of each stream gives; hundredths of money and rates.
type line struct{ quantity, price, discount, tax, part, shipped int64 }

func (l lines) next(g *generator, ordered int64) line {
	n := line{
		quantity: l.quantity.between(1, 50), discount: l.discount.between(0, 10), tax: l.tax.between(0, 8),
		part: l.part.between(1, g.parts), shipped: ordered + l.ship.between(1, 121),
	}
	n.price = price(n.part) * n.quantity
	return n
}

func (g *generator) ordersTable(first, count int64, into columns) {
	at := rowStreams{first: first}
	l := openLines(&at)
	customer, priority, clerk := at.open(851767375, 1), at.open(591449447, 1), at.open(1171034773, 1)
	comment := newComments(g.text, at.open(276090261, 2), 49)
	keys, customers, states, totals, dates := into.key(0), into.key(1), into.text(2), into.money(3), into.date(4)
	priorities, clerks, urgencies, texts := into.text(5), into.text(6), into.number(7), into.text(8)
	var b []byte
	for k := first + 1; k <= first+count; k++ {
		keys.Append(orderKey(k))
		ordered := l.date.between(firstOrderDay, lastOrderDay)
		customers.Append(g.ordering(customer.between(1, g.customers)))
		total, state := g.sum(l, ordered)
		states.Append(state)
		totals.cents(total)
		dates.Append(day(ordered))
		priorities.Append(g.words.priorities.draw(priority))
		clerks.bytes(appendPadded(append(b[:0], "Clerk#"...), clerk.between(1, g.clerks), 9))
		urgencies.Append(0)
		texts.Append(comment.next())
		at.next()
	}
}

// ordering is the customer nearest to k who orders: those of keys that are
// multiples of three never do.
func (g *generator) ordering(k int64) int64 {
	for step := int64(1); k%3 == 0; step = -step {
		k = min(k+step, g.customers)
	}
	return k
}

// sum draws an order's lines for its price, with discount and tax, and its state.
func (g *generator) sum(l lines, ordered int64) (total int64, state string) {
	n := l.count.between(1, linesPerOrder)
	var shipped int64
	for range n {
		x := l.next(g, ordered)
		total += x.price * (100 - x.discount) / 100 * (100 + x.tax) / 100
		if x.shipped <= today {
			shipped++
		}
	}
	switch shipped {
	case n:
		return total, "F"
	case 0:
		return total, "O"
	default:
		return total, "P"
	}
}

func (g *generator) lineitem(first, count int64, into columns) {
	at := rowStreams{first: first}
	l := openLines(&at)
	supplier, commit, receipt := at.open(2095021727, linesPerOrder), at.open(904914315, linesPerOrder), at.open(373135028, linesPerOrder)
	flag, instruct, mode := at.open(717419739, linesPerOrder), at.open(1371272478, linesPerOrder), at.open(675466456, linesPerOrder)
	comment := newComments(g.text, at.open(1095462486, 2*linesPerOrder), 27)
	keys, parts, suppliers, numbers := into.key(0), into.key(1), into.key(2), into.number(3)
	quantities, prices, discounts, taxes := into.money(4), into.money(5), into.money(6), into.money(7)
	flags, states, ships, commits, receipts := into.text(8), into.text(9), into.date(10), into.date(11), into.date(12)
	instructs, modes, texts := into.text(13), into.text(14), into.text(15)
	for k := first + 1; k <= first+count; k++ {
		ordered := l.date.between(firstOrderDay, lastOrderDay)
		for number := range l.count.between(1, linesPerOrder) {
			x := l.next(g, ordered)
			received := x.shipped + receipt.between(1, 30)
			keys.Append(orderKey(k))
			parts.Append(x.part)
			suppliers.Append(g.supplierOf(x.part, supplier.between(0, suppliersPerPart-1)))
			numbers.Append(int32(number + 1))
			quantities.cents(x.quantity * 100)
			prices.cents(x.price)
			discounts.cents(x.discount)
			taxes.cents(x.tax)
			flags.Append(g.flagOf(flag, received))
			states.Append(stateOf(x.shipped))
			ships.Append(day(x.shipped))
			commits.Append(day(ordered + commit.between(30, 90)))
			receipts.Append(day(received))
			instructs.Append(g.words.instructions.draw(instruct))
			modes.Append(g.words.modes.draw(mode))
			texts.Append(comment.next())
		}
		at.next()
	}
}

// flagOf is drawn for what has been received only.
func (g *generator) flagOf(s *stream, received int64) string {
	if received > today {
		return "N"
	}
	return g.words.returned.draw(s)
}

func stateOf(shipped int64) string {
	if shipped > today {
		return "O"
	}
	return "F"
}
