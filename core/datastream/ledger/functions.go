package ledger

import (
	"time"

	"github.com/tidemill/tidemill/core/datastream"
)

// What accounts have.
const (
	opening = 2000 // when they are first seen
	topUp   = 2000 // when they have had payments since the last time
	period  = time.Second
	patient = 50 * time.Millisecond // with a fee that is not known
)

// account is the paying side of an account.
type account struct {
	Balance int64
	Number  int64 // of bookings
	Active  bool  // there were payments since the last top-up
}

// debit carries payments out.
type debit struct {
	account *datastream.ValueState[account]
	waiting *datastream.ListState[Transfer] // for their fee
	fees    *datastream.BroadcastState[string, Rule]
	reject  *datastream.Collector[Rejection]
	credit  *datastream.Collector[credit]
}

// Open implements datastream.BroadcastFunction.
func (d *debit) Open(o *datastream.Opening) (err error) {
	if d.account, err = datastream.Value[account](o, "account"); err != nil {
		return err
	}
	if d.waiting, err = datastream.List[Transfer](o, "waiting"); err != nil {
		return err
	}
	if d.fees, err = datastream.Broadcast[string, Rule](o, "fees"); err != nil {
		return err
	}
	if d.reject, err = datastream.Side(o, rejected); err != nil {
		return err
	}
	d.credit, err = datastream.Side(o, credited)
	return err
}

// ProcessBroadcast implements datastream.BroadcastFunction.
func (d *debit) ProcessBroadcast(_ *datastream.Context[int64], r Rule, _ *datastream.Collector[Booking]) error {
	d.fees.Put(r.Kind, r)
	return nil
}

// Process implements datastream.BroadcastFunction.
func (d *debit) Process(ctx *datastream.Context[int64], t Transfer, out *datastream.Collector[Booking]) error {
	a, known := d.account.Get()
	if !known {
		a.Balance = opening
		ctx.SetTimer(t.At.Truncate(period).Add(period))
	}
	if rule, ok := d.fees.Get(t.Kind); ok {
		d.pay(ctx.Key(), &a, t, rule, out)
	} else {
		d.waiting.Append(t)
		ctx.SetTimer(t.At.Add(patient))
	}
	d.account.Set(a)
	return nil
}

// pay books a payment, or rejects it.
func (d *debit) pay(key int64, a *account, t Transfer, rule Rule, out *datastream.Collector[Booking]) {
	fee := rule.fee(t.Amount)
	if a.Balance < t.Amount+fee {
		d.reject.Emit(Rejection{t.ID, key, t.Amount, a.Balance})
		return
	}
	a.Balance -= t.Amount + fee
	a.Number++
	a.Active = true
	out.Emit(Booking{
		Account: key, Side: "debit", Number: a.Number, Kind: "payment", Transfer: t.ID, Amount: -t.Amount - fee, Fee: fee,
		Balance: a.Balance, Other: t.Payee,
	})
	d.credit.Emit(credit{t.ID, key, t.Payee, t.Amount})
}

// OnTimer implements datastream.TimerFunction: payments whose fee was not known are carried
// out, and at the end of a period the account is topped up.
func (d *debit) OnTimer(ctx *datastream.Context[int64], at datastream.Timer, out *datastream.Collector[Booking]) error {
	a, _ := d.account.Get()
	var waiting []Transfer
	all := d.waiting.All()
	for _, t := range all {
		if rule, ok := d.fees.Get(t.Kind); ok {
			d.pay(ctx.Key(), &a, t, rule, out)
		} else {
			waiting = append(waiting, t)
		}
	}
	if len(waiting) < len(all) {
		d.waiting.Set(waiting)
	}
	if len(waiting) > 0 && !ctx.Ended() {
		ctx.SetTimer(at.At.Add(patient))
	}
	if at.At.Equal(at.At.Truncate(period)) {
		if a.Active {
			a.Active = false
			a.Balance += topUp
			a.Number++
			out.Emit(Booking{
				Account: ctx.Key(), Side: "debit", Number: a.Number, Kind: "topup", Transfer: -1, Amount: topUp, Balance: a.Balance, Other: -1,
			})
		}
		if !ctx.Ended() {
			ctx.SetTimer(at.At.Add(period))
		}
	}
	d.account.Set(a)
	return nil
}

// receive books what accounts receive.
type receive struct {
	account *datastream.ValueState[account]
	payers  *datastream.MapState[int64, int64]
}

// Open implements datastream.ProcessFunction.
func (r *receive) Open(o *datastream.Opening) (err error) {
	if r.account, err = datastream.Value[account](o, "account"); err != nil {
		return err
	}
	r.payers, err = datastream.MapOf[int64, int64](o, "payers")
	return err
}

// Process implements datastream.ProcessFunction.
func (r *receive) Process(ctx *datastream.Context[int64], c credit, out *datastream.Collector[Booking]) error {
	a, _ := r.account.Get()
	nth, _ := r.payers.Get(c.Payer)
	nth++
	a.Balance += c.Amount
	a.Number++
	r.account.Set(a)
	r.payers.Put(c.Payer, nth)
	out.Emit(Booking{
		Account: ctx.Key(), Side: "credit", Number: a.Number, Kind: "receipt", Transfer: c.Transfer, Amount: c.Amount,
		Balance: a.Balance, Other: c.Payer, Nth: nth,
	})
	return nil
}

// counter gives receipts.
type counter struct{ ID, Last int64 }

// receipts gives every booking the next receipt of a counter of its subtask.
type receipts struct {
	counters *datastream.SharedList[counter]
	taken    *datastream.SharedList[int64] // ids of all counters there are
}

// Open implements datastream.ProcessFunction. A subtask that was dealt no counter opens one
// with a number that nobody else has taken, or can take now.
func (r *receipts) Open(o *datastream.Opening) (err error) {
	if r.counters, err = datastream.Share[counter](o, "counters"); err != nil {
		return err
	}
	if r.taken, err = datastream.UnionOf[int64](o, "taken"); err != nil {
		return err
	}
	if len(r.counters.Values) == 0 {
		index, _ := o.Subtask()
		next := int64(0)
		for _, id := range r.taken.Values {
			next = max(next, id+1)
		}
		r.counters.Values = []counter{{ID: next + int64(index)}}
	}
	r.taken.Values = nil // each tells of its own, and of those before
	for _, c := range r.counters.Values {
		r.taken.Values = append(r.taken.Values, c.ID)
	}
	return nil
}

// Process implements datastream.ProcessFunction.
func (r *receipts) Process(_ *datastream.Context[datastream.None], b Booking, out *datastream.Collector[Booking]) error {
	c := &r.counters.Values[0]
	c.Last++
	b.Counter, b.Receipt = c.ID, c.Last
	out.Emit(b)
	return nil
}
