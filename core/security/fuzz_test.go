package security

import (
	"bytes"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// FuzzVerify: whatever is shown as a ticket is refused by name, but for those that were
// signed; and what is read of a ticket is what was signed.
func FuzzVerify(f *testing.F) {
	key, now := bytes.Repeat([]byte{7}, KeyBytes), time.Unix(1_000_000, 0)
	signed := Ticket{Rights: Read, Exchange: 3, Term: 1, Expiry: now.Add(time.Minute)}.Sign(key)
	f.Add(signed)
	f.Add(signed[:len(signed)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, shown []byte) {
		ticket, err := Verify(key, shown, now)
		if err != nil {
			if failure.Of(err) != failure.Unauthorized {
				t.Fatalf("refused without its name: %v", err)
			}
			return
		}
		if !bytes.Equal(ticket.Sign(key), shown) {
			t.Fatalf("%x is taken for %+v", shown, ticket)
		}
	})
}
