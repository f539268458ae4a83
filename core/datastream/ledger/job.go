package ledger

import (
	"time"

	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/fs"
)

// Booking is a line of an account's book.
type Booking struct {
	Account  int64
	Side     string // "debit": payments and top-ups; "credit": what is received
	Number   int64  // from 1 on, of the account and side
	Kind     string // "payment", "receipt" or "topup"
	Transfer int64  // -1 of a top-up
	Amount   int64
	Fee      int64
	Balance  int64 // of the account's side, behind it
	Other    int64 // the account at the other end
	Nth      int64 // of a receipt: so many from the same payer
	Counter  int64 // whose receipt it has
	Receipt  int64 // from 1 on, of the counter
}

// Rejection is a transfer that was not carried out.
type Rejection struct {
	Transfer int64
	Payer    int64
	Amount   int64
	Balance  int64
}

// credit is what a payee is to receive.
type credit struct {
	Transfer int64
	Payer    int64
	Payee    int64
	Amount   int64
}

// The side outputs of debit.
var (
	rejected = datastream.NewTag[Rejection]("rejected")
	credited = datastream.NewTag[credit]("credited")
)

// Directories of the books, below Options.Dir.
const (
	bookingsDir   = "bookings"
	rejectionsDir = "rejections"
)

// Build adds the job to env.
func Build(env *datastream.Env, o Options) {
	o = o.complete()
	fees := datastream.FromSlice(env, "rules", rules())
	transfers := datastream.Generate(env, "transfers", datastream.Generator[Transfer]{Splits: o.Splits, Next: o.transfer, Rate: o.Rate})
	timed := datastream.WithWatermarks(transfers, "time", datastream.Watermarks{Column: "at", Delay: 100 * time.Millisecond, Idle: time.Second})
	byPayer := datastream.KeyBy(timed, "by payer", func(t Transfer) int64 { return t.Payer })
	debits := datastream.ProcessBroadcast(datastream.Connect(byPayer, fees), "debit",
		func() datastream.BroadcastFunction[int64, Transfer, Rule, Booking] { return &debit{} })
	byPayee := datastream.KeyBy(datastream.SideOutput(debits, credited), "by payee", func(c credit) int64 { return c.Payee })
	credits := datastream.Process(byPayee, "credit", func() datastream.ProcessFunction[int64, credit, Booking] { return &receive{} })
	booked := datastream.ProcessAll(datastream.Union("bookings", debits, credits), "receipts",
		func() datastream.ProcessFunction[datastream.None, Booking, Booking] { return &receipts{} })
	datastream.To(booked, "write bookings", table(o.Dir, bookingsDir))
	datastream.To(datastream.SideOutput(debits, rejected), "write rejections", table(o.Dir, rejectionsDir))
}

func table(dir, name string) datastream.Table {
	return datastream.Table{Options: map[string]string{"connector": "filesystem", "path": fs.Join(dir, name), "format": "csv"}}
}
