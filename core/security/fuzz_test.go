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

// FuzzJoin: no join token is believed but the one that was made.
func FuzzJoin(f *testing.F) {
	ca, err := EnsureCA(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	token, err := ca.JoinToken([]Role{Worker}, now.Add(24*time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token.Reveal())
	f.Add("tmj_")
	f.Add("")
	f.Fuzz(func(t *testing.T, shown string) {
		_, err := ca.CheckJoin(shown, now)
		switch {
		case err != nil && failure.Of(err) != failure.Unauthorized:
			t.Fatal(err)
		case err == nil && shown != token.Reveal():
			t.Fatalf("%q is believed", shown)
		}
	})
}

// FuzzFiles: what is read as certificates has at least one.
func FuzzFiles(f *testing.F) {
	ca, err := EnsureCA(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ca.Certificate())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := parseCerts(data)
		if err == nil && len(certs) == 0 {
			t.Fatal("no certificate and no error")
		}
	})
}
