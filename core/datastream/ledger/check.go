package ledger

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/local"
)

// Report is what Check has counted.
type Report struct {
	Transfers, Bookings, Rejections int64
	Lost, Duplicated, Wrong         int64
	Examples                        []string // of what is wrong, the first few
}

// String is the report on one line, and its examples below.
func (r Report) String() string {
	out := fmt.Sprintf("%d transfers, %d bookings, %d rejections: lost %d, duplicated %d, wrong %d",
		r.Transfers, r.Bookings, r.Rejections, r.Lost, r.Duplicated, r.Wrong)
	return strings.Join(append([]string{out}, r.Examples...), "\n  ")
}

// Right says that nothing is lost, duplicated or wrong.
func (r Report) Right() bool { return r.Lost == 0 && r.Duplicated == 0 && r.Wrong == 0 }

const examples = 10

func (r *Report) wrong(format string, args ...any) {
	r.Wrong++
	r.example(format, args...)
}

func (r *Report) example(format string, args ...any) {
	if len(r.Examples) < examples {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

// Check reads the books below o.Dir, on the machine's file system, and compares them with
// the transfers that there were. It knows nothing of how the job works.
func Check(o Options) (Report, error) {
	files, err := local.New(local.Options{})
	if err != nil {
		return Report{}, err
	}
	return CheckOn(context.Background(), files, o)
}

// CheckOn is Check of books on another file system, where o.Dir is a path of it.
func CheckOn(ctx context.Context, files fs.FileSystem, o Options) (Report, error) {
	o = o.complete()
	var r Report
	bookings, err := readAll(ctx, files, path.Join(o.Dir, bookingsDir), parseBooking)
	if err != nil {
		return r, err
	}
	rejections, err := readAll(ctx, files, path.Join(o.Dir, rejectionsDir), parseRejection)
	if err != nil {
		return r, err
	}
	r.Bookings, r.Rejections = int64(len(bookings)), int64(len(rejections))
	r.checkTransfers(o, bookings, rejections)
	r.checkSums(bookings)
	r.checkBooks(bookings)
	r.checkCounters(bookings)
	return r, nil
}

// checkTransfers looks for what became of each transfer.
func (r *Report) checkTransfers(o Options, bookings []Booking, rejections []Rejection) {
	paid, received, refused := map[int64][]Booking{}, map[int64][]Booking{}, map[int64]int64{}
	for _, b := range bookings {
		switch b.Kind {
		case "payment":
			paid[b.Transfer] = append(paid[b.Transfer], b)
		case "receipt":
			received[b.Transfer] = append(received[b.Transfer], b)
		}
	}
	for _, x := range rejections {
		refused[x.Transfer]++
	}
	fees := map[string]Rule{}
	for _, rule := range rules() {
		fees[rule.Kind] = rule
	}
	for split := range o.Splits {
		for n := range o.Transfers {
			t, _ := o.transfer(split, n)
			r.Transfers++
			r.checkTransfer(t, fees[t.Kind].fee(t.Amount), paid[t.ID], received[t.ID], refused[t.ID])
			delete(paid, t.ID)
			delete(received, t.ID)
			delete(refused, t.ID)
		}
	}
	if n := len(paid) + len(received) + len(refused); n > 0 {
		r.Wrong += int64(n)
		r.example("%d transfers that nobody ordered", n)
	}
}

func (r *Report) checkTransfer(t Transfer, fee int64, paid, received []Booking, refused int64) {
	done := int64(len(paid)) + refused
	switch {
	case done == 0 || len(received) < len(paid):
		r.Lost++
		r.example("transfer %d: paid %d times, received %d times, rejected %d times", t.ID, len(paid), len(received), refused)
		return
	case done > 1 || len(received) > len(paid):
		r.Duplicated++
		r.example("transfer %d: paid %d times, received %d times, rejected %d times", t.ID, len(paid), len(received), refused)
		return
	case refused == 1:
		return
	}
	p, q := paid[0], received[0]
	if p.Account != t.Payer || p.Other != t.Payee || p.Fee != fee || p.Amount != -t.Amount-fee {
		r.wrong("transfer %+v was booked as %+v", t, p)
	}
	if q.Account != t.Payee || q.Other != t.Payer || q.Amount != t.Amount {
		r.wrong("transfer %+v was received as %+v", t, q)
	}
}

// checkSums looks whether money came from nowhere or went there.
func (r *Report) checkSums(bookings []Booking) {
	sum := int64(0)
	for _, b := range bookings {
		if b.Kind != "topup" {
			sum += b.Amount + b.Fee
		}
	}
	if sum != 0 {
		r.wrong("payments, fees and receipts differ by %d", sum)
	}
}

// checkBooks reads each account's books from the first line on.
func (r *Report) checkBooks(bookings []Booking) {
	books := map[string][]Booking{}
	for _, b := range bookings {
		name := fmt.Sprint(b.Side, " ", b.Account)
		books[name] = append(books[name], b)
	}
	for name, lines := range books {
		slices.SortFunc(lines, func(a, b Booking) int { return int(a.Number - b.Number) })
		balance, payers := int64(0), map[int64]int64{}
		if lines[0].Side == "debit" {
			balance = opening
		}
		for i, b := range lines {
			balance += b.Amount
			if b.Number != int64(i)+1 || b.Balance != balance || b.Side == "debit" && balance < 0 {
				r.wrong("book %s: line %d with balance %d is %+v", name, i+1, balance, b)
				break
			}
			if b.Kind == "receipt" {
				if payers[b.Other]++; payers[b.Other] != b.Nth {
					r.wrong("book %s: receipt %d of payer %d is %+v", name, payers[b.Other], b.Other, b)
					break
				}
			}
		}
	}
}

// checkCounters looks for gaps in receipts.
func (r *Report) checkCounters(bookings []Booking) {
	counters := map[int64][]int64{}
	for _, b := range bookings {
		counters[b.Counter] = append(counters[b.Counter], b.Receipt)
	}
	for id, given := range counters {
		slices.Sort(given)
		for i, n := range given {
			if n != int64(i)+1 {
				r.wrong("counter %d: receipt %d is number %d", id, i+1, n)
				break
			}
		}
	}
}
