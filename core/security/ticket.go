package security

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// Rights are what a ticket permits, as a set of bits.
type Rights uint8

// The rights.
const (
	Read  Rights = 1 << iota // of partitions
	Write                    // of lanes
	Drop                     // of exchanges
)

// AllExchanges is the exchange of a ticket for every exchange of its job.
const AllExchanges = ^id.Exchange(0)

// Ticket is a capability for a shuffle server.
type Ticket struct {
	Rights   Rights
	Job      id.Job
	Exchange id.Exchange // or AllExchanges
	Term     id.Term     // of the job master that gave it
	Expiry   time.Time   // to the second
}

const (
	ticketVersion = 1
	ticketBody    = 1 + 1 + 16 + 4 + 8 + 8
	ticketSize    = ticketBody + sha256.Size
)

// KeyBytes is the size of the cluster's key.
const KeyBytes = 32

// NewKey makes a key for a cluster's tickets.
func NewKey() []byte {
	k := make([]byte, KeyBytes)
	_, _ = rand.Read(k) // it never fails: the program ends first
	return k
}

// Sign writes a ticket and signs it with the cluster's key.
func (t Ticket) Sign(key []byte) []byte {
	b := make([]byte, 0, ticketSize)
	b = append(b, ticketVersion, byte(t.Rights))
	b = append(b, t.Job[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Exchange))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Term))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Expiry.Unix()))
	return append(b, mac(key, t.Job, b)...)
}

// Verify reads a ticket that was signed with key and is good at now; any other is
// Unauthorized, with the reason.
func Verify(key, ticket []byte, now time.Time) (Ticket, error) {
	refuse := func(format string, args ...any) (Ticket, error) {
		return Ticket{}, failure.Errorf(failure.Unauthorized, "ticket: "+format, args...)
	}
	if len(ticket) != ticketSize {
		return refuse("%d bytes instead of %d", len(ticket), ticketSize)
	}
	if ticket[0] != ticketVersion {
		return refuse("version %d is not known", ticket[0])
	}
	body := ticket[:ticketBody]
	t := Ticket{
		Rights: Rights(body[1]), Job: id.Job(body[2:18]), Exchange: id.Exchange(binary.LittleEndian.Uint32(body[18:])),
		Term: id.Term(binary.LittleEndian.Uint64(body[22:])), Expiry: time.Unix(int64(binary.LittleEndian.Uint64(body[30:])), 0),
	}
	if len(key) == 0 || !hmac.Equal(ticket[ticketBody:], mac(key, t.Job, body)) {
		return refuse("it was not signed by this cluster")
	}
	if !now.Before(t.Expiry) {
		return refuse("it expired at %s", t.Expiry.UTC().Format(time.RFC3339))
	}
	return t, nil
}

// Permit says why the ticket does not permit to do something with an exchange under a
// job master's term, or nil.
func (t Ticket) Permit(want Rights, job id.Job, ex id.Exchange, term id.Term) error {
	switch {
	case t.Job != job:
		return failure.Errorf(failure.Unauthorized, "ticket: it is for job %v, not %v", t.Job, job)
	case t.Exchange != AllExchanges && t.Exchange != ex:
		return failure.Errorf(failure.Unauthorized, "ticket: it is for exchange %d, not %d", t.Exchange, ex)
	case t.Term != term:
		return failure.Errorf(failure.Unauthorized, "ticket: it is of term %d, not %d", t.Term, term)
	case t.Rights&want != want:
		return failure.Errorf(failure.Unauthorized, "ticket: it gives %v, not %v", t.Rights, want)
	}
	return nil
}

// String lists the rights.
func (r Rights) String() string {
	out := ""
	for i, name := range [...]string{"read", "write", "drop"} {
		if r&(1<<i) != 0 {
			if out != "" {
				out += ", "
			}
			out += name
		}
	}
	if rest := r &^ (Read | Write | Drop); rest != 0 || out == "" {
		return fmt.Sprintf("rights %#x", uint8(r))
	}
	return out
}

func mac(key []byte, job id.Job, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("job"))
	h.Write(job[:])
	h = hmac.New(sha256.New, h.Sum(nil))
	h.Write(body)
	return h.Sum(nil)
}
