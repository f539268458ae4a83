package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The checker finds what it is there to find, and nothing in books that are right.

const bookingsHeader = "account,side,number,kind,transfer,amount,fee,balance,other,nth,counter,receipt\n"

// books writes a ledger of one split with right books: every transfer paid and received,
// or rejected where there is no money.
func books(t *testing.T, o Options) (bookings, rejections []string) {
	t.Helper()
	type side struct{ balance, number int64 }
	debits, credits, nth, receipt := map[int64]*side{}, map[int64]*side{}, map[[2]int64]int64{}, int64(0)
	fees := map[string]Rule{}
	for _, r := range rules() {
		fees[r.Kind] = r
	}
	of := func(m map[int64]*side, account, balance int64) *side {
		if m[account] == nil {
			m[account] = &side{balance: balance}
		}
		return m[account]
	}
	for n := range o.Transfers {
		x, _ := o.transfer(0, n)
		fee, d := fees[x.Kind].fee(x.Amount), of(debits, x.Payer, opening)
		if d.balance < x.Amount+fee {
			rejections = append(rejections, fmt.Sprintf("%d,%d,%d,%d", x.ID, x.Payer, x.Amount, d.balance))
			continue
		}
		c := of(credits, x.Payee, 0)
		d.balance, d.number, c.balance, c.number = d.balance-x.Amount-fee, d.number+1, c.balance+x.Amount, c.number+1
		nth[[2]int64{x.Payee, x.Payer}]++
		receipt += 2
		bookings = append(bookings,
			fmt.Sprintf("%d,debit,%d,payment,%d,%d,%d,%d,%d,0,0,%d", x.Payer, d.number, x.ID, -x.Amount-fee, fee, d.balance, x.Payee, receipt-1),
			fmt.Sprintf("%d,credit,%d,receipt,%d,%d,0,%d,%d,%d,0,%d", x.Payee, c.number, x.ID, x.Amount, c.balance, x.Payer, nth[[2]int64{x.Payee, x.Payer}], receipt))
	}
	return bookings, rejections
}

func check(t *testing.T, o Options, bookings, rejections []string) Report {
	t.Helper()
	o.Dir = t.TempDir()
	for name, text := range map[string]string{
		bookingsDir + "/part.csv":   bookingsHeader + strings.Join(bookings, "\n"),
		bookingsDir + "/.staged":    "not published",
		rejectionsDir + "/part.csv": "transfer,payer,amount,balance\n" + strings.Join(rejections, "\n"),
	} {
		file := filepath.Join(o.Dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Check(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCheckFinds(t *testing.T) {
	o := Options{Splits: 1, Transfers: 200, Accounts: 5}
	bookings, rejections := books(t, o)
	if len(rejections) == 0 || len(bookings) < 20 {
		t.Fatalf("%d bookings, %d rejections: choose other numbers", len(bookings), len(rejections))
	}
	if r := check(t, o, bookings, rejections); !r.Right() || r.Transfers != o.Transfers {
		t.Fatalf("right books: %v", r)
	}
	last := len(bookings) - 1
	changed := func(at int, old, replacement string) []string {
		out := append([]string{}, bookings...)
		if out[at] = strings.Replace(out[at], old, replacement, 1); out[at] == bookings[at] {
			t.Fatalf("there is no %s in %s", old, out[at])
		}
		return out
	}
	for name, c := range map[string]struct {
		bookings, rejections       []string
		lost, duplicated, anyWrong bool
	}{
		"a rejection is missing":    {bookings, rejections[1:], true, false, false},
		"a rejection comes twice":   {bookings, append(rejections, rejections[0]), false, true, false},
		"a receipt is missing":      {bookings[:last], rejections, true, false, true},
		"a payment is missing":      {append(append([]string{}, bookings[:last-1]...), bookings[last]), rejections, true, false, true},
		"a booking comes twice":     {append(bookings[:last+1:last+1], bookings[last]), rejections, false, true, true},
		"another transfer was paid": {changed(0, ",payment,", ",payment,1"), rejections, true, false, false},
		"a wrong amount":            {changed(0, ",payment,0,-", ",payment,0,-1"), rejections, false, false, true},
		"a line has another number": {changed(last, ",credit,", ",credit,7"), rejections, false, false, true},
		"a fee too many":            {append(append([]string{}, bookings...), "0,debit,99,payment,123456,-5,5,0,1,0,0,999"), rejections, false, false, true},
	} {
		r := check(t, o, c.bookings, c.rejections)
		if (r.Lost > 0) != c.lost || (r.Duplicated > 0) != c.duplicated || (r.Wrong > 0) != c.anyWrong {
			t.Errorf("%s: %v", name, r)
		}
	}
}
