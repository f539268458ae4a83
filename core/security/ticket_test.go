package security

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

func TestTicket(t *testing.T) {
	key, now := NewKey(), time.Unix(1_000_000, 0)
	given := Ticket{Rights: Read | Write, Job: id.Job{1, 2}, Exchange: 7, Term: 3, Expiry: now.Add(time.Minute)}
	signed := given.Sign(key)
	got, err := Verify(key, signed, now)
	if err != nil || got != given {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := got.Permit(Read, given.Job, 7, 3); err != nil {
		t.Error(err)
	}
	for i := range signed {
		forged := append([]byte(nil), signed...)
		forged[i] ^= 1
		if _, err := Verify(key, forged, now); failure.Of(err) != failure.Unauthorized {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	refused := []struct {
		err  error
		says string
	}{
		{verify(NewKey(), signed, now), "not signed by this cluster"},
		{verify(nil, signed, now), "not signed by this cluster"},
		{verify(key, signed, now.Add(time.Minute)), "expired"},
		{verify(key, signed[1:], now), "bytes instead of"},
		{verify(key, append(signed, 0), now), "bytes instead of"},
		{got.Permit(Drop, given.Job, 7, 3), "gives read, write, not drop"},
		{got.Permit(Read, id.Job{9}, 7, 3), "is for job"},
		{got.Permit(Read, given.Job, 8, 3), "is for exchange 7, not 8"},
		{got.Permit(Read, given.Job, 7, 4), "of term 3, not 4"},
	}
	for _, r := range refused {
		if failure.Of(r.err) != failure.Unauthorized || !strings.Contains(r.err.Error(), r.says) {
			t.Errorf("%v, expected %q", r.err, r.says)
		}
	}
	given.Exchange = AllExchanges
	if err := given.Permit(Write, given.Job, 99, 3); err != nil {
		t.Error(err)
	}
}

func verify(key, ticket []byte, now time.Time) error {
	_, err := Verify(key, ticket, now)
	return err
}
