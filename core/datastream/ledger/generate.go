package ledger

import "time"

// Transfer is an order to pay.
type Transfer struct {
	ID     int64
	Payer  int64
	Payee  int64
	Amount int64
	Kind   string
	At     time.Time
}

// Rule is the fee of a kind of transfers, in thousandths of the amount.
type Rule struct {
	Kind     string
	Thousand int64
}

// rules are what the broadcast stream brings.
func rules() []Rule { return []Rule{{"card", 5}, {"cash", 0}, {"giro", 1}, {"wire", 20}} }

// fee is what a transfer costs under a rule.
func (r Rule) fee(amount int64) int64 { return amount * r.Thousand / 1000 }

// Options are the size of the job.
type Options struct {
	Splits    int   // of transfers; zero means 8
	Transfers int64 // of each split; zero means 10,000
	Accounts  int64 // zero means 500
	Rate      int   // transfers a second of each split; zero: as many as are taken
	// Dir is where the books are written, on any file system.
	Dir string
}

func (o Options) complete() Options {
	if o.Splits == 0 {
		o.Splits = 8
	}
	if o.Transfers == 0 {
		o.Transfers = 10_000
	}
	if o.Accounts == 0 {
		o.Accounts = 500
	}
	return o
}

// perSplit is more than a split has transfers.
const perSplit = 1 << 40

// transfer is the one at a place, which alone decides what it is.
func (o Options) transfer(split int, n int64) (Transfer, bool) {
	if n >= o.Transfers {
		return Transfer{}, false
	}
	id := int64(split)*perSplit + n
	kinds := rules()
	t := Transfer{
		ID: id, Payer: int64(mix(id, 1) % uint64(o.Accounts)), Amount: 1 + int64(mix(id, 2)%300),
		Kind: kinds[mix(id, 3)%uint64(len(kinds))].Kind, At: time.UnixMilli(1_700_000_000_000 + n).UTC(),
	}
	t.Payee = (t.Payer + 1 + int64(mix(id, 4)%uint64(max(o.Accounts-1, 1)))) % o.Accounts
	return t, true
}

// mix is a random number of a place.
func mix(id int64, salt uint64) uint64 {
	x := uint64(id) + salt*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
