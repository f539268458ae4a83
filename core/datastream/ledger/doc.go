// Package ledger is a job whose result shows whether each row has had its effect once: a
// ledger of accounts, written in core/datastream, and an independent checker of its books.
//
//	transfers -> by payer -> debit <- rules (broadcast: fees)
//	                          | | \
//	                          | |  rejections ------------------------> file
//	                          | credits -> by payee -> credit
//	                          |                          |
//	                          +---------- bookings ------+ -> receipts -> file
//
// It uses what there is. debit keeps an account in a value, transfers whose fee is not
// known yet in a list, and fees in broadcast state; timers of event time top accounts up.
// credit counts the payers of an account in a map. receipts numbers bookings with counters
// that are a shared list, dealt out anew when the job is rescaled, and takes the numbers of
// new counters from a union. Rejections and credits are side outputs.
//
// What the books say depends on the order in which rows met, but these hold for any: each
// transfer is booked or rejected, once; what is paid is received, or a fee; each account has
// its bookings numbered from 1 on with the balance that they make; each receipt counter
// counts without a gap. Check counts what is lost, duplicated or wrong.
package ledger
