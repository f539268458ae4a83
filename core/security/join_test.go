package security

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// A process that has a join token, and nothing else, comes to a certificate.

func TestJoin(t *testing.T) {
	ca, now := newCA(t), time.Unix(time.Now().Unix(), 0)
	token, err := ca.JoinToken([]Role{Worker, Shuffle}, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	j, err := ParseJoin(token)
	if err != nil || join(j.Roles) != "worker or shuffle" || !j.Expiry.Equal(now.Add(time.Hour)) {
		t.Fatalf("%+v, %v", j, err)
	}
	if err := shake(issue(t, ca, Master).Server(), j.Client()); err != nil {
		t.Errorf("a master: %v", err)
	}
	if err := shake(issue(t, ca, Worker).Server(), j.Client()); err == nil || !strings.Contains(err.Error(), "of role worker, not master") {
		t.Errorf("a worker: %v", err)
	}
	foreign := newCA(t)
	if err := shake(issue(t, foreign, Master).Server(), j.Client()); err == nil || !strings.Contains(err.Error(), "not the one that the join token names") {
		t.Errorf("a master of another cluster: %v", err)
	}
	// Somebody who shows our authority without being certified by it.
	posing := issue(t, foreign, Master)
	mask := *posing.held.Load()
	mask.issuer = ca.held.Load().issuer
	posing.held.Store(&mask)
	if err := shake(posing.Server(), j.Client()); err == nil || !strings.Contains(err.Error(), "signed by unknown authority") {
		t.Errorf("an impostor: %v", err)
	}

	a, err := j.Apply()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ca.Enroll(token.Reveal(), a.Request, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Accept(answer)
	if err != nil || join(got.Roles()) != "worker or shuffle" {
		t.Fatal(err)
	}
	if err := shake(issue(t, ca, Master).Server(Worker), got.Client(Master)); err != nil {
		t.Error(err)
	}
	other, err := j.Apply()
	if err != nil {
		t.Fatal(err)
	}
	for what, answer := range map[string][]byte{
		"another's": mustEnroll(t, ca, token, other), "nothing": nil, "half": encodeCerts(got.held.Load().cert),
		"unsigned": encodeCerts(mask.cert, mask.issuer),
	} {
		if _, err := a.Accept(answer); failure.Of(err) != failure.Unauthorized {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func mustEnroll(t *testing.T, ca *CA, token Token, a *Applicant) []byte {
	t.Helper()
	b, err := ca.Enroll(token.Reveal(), a.Request, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJoinRefused(t *testing.T) {
	ca, now := newCA(t), time.Now()
	token, err := ca.JoinToken([]Role{Worker}, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	j, err := ParseJoin(token)
	if err != nil {
		t.Fatal(err)
	}
	a, err := j.Apply()
	if err != nil {
		t.Fatal(err)
	}
	text := token.Reveal()
	for i := range text {
		forged := []byte(text)
		forged[i] = "AB"[min(1, int(forged[i]&1))] // another character of the alphabet, mostly
		if string(forged) == text {
			continue
		}
		if _, err := ca.Enroll(string(forged), a.Request, now); failure.Of(err) != failure.Unauthorized {
			t.Errorf("character %d changed: %v", i, err)
		}
	}
	edwards, broken := request(t, true), append([]byte(nil), a.Request...)
	broken[len(broken)-1] ^= 1
	for what, c := range map[string]struct {
		token   string
		request []byte
		at      time.Time
		class   failure.Class
	}{
		"foreign":     {foreignJoin(t), a.Request, now, failure.Unauthorized},
		"expired":     {text, a.Request, now.Add(2 * time.Hour), failure.Unauthorized},
		"short":       {text[:40], a.Request, now, failure.Unauthorized},
		"nothing":     {"", a.Request, now, failure.Unauthorized},
		"no request":  {text, nil, now, failure.Usage},
		"other key":   {text, edwards, now, failure.Usage},
		"other curve": {text, request(t, false), now, failure.Usage},
		"no proof":    {text, broken, now, failure.Unauthorized},
	} {
		if _, err := ca.Enroll(c.token, c.request, c.at); failure.Of(err) != c.class {
			t.Errorf("%s: %v (%v)", what, err, failure.Of(err))
		}
	}
	if _, err := ca.JoinToken(nil, now); failure.Of(err) != failure.Usage {
		t.Error(err)
	}
	if _, err := ParseJoin(NewToken()); failure.Of(err) != failure.Usage {
		t.Error(err)
	}
}

func foreignJoin(t *testing.T) string {
	t.Helper()
	token, err := newCA(t).JoinToken([]Role{Worker}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// request asks for a certificate with a key that is not ours.
func request(t *testing.T, edwards bool) []byte {
	t.Helper()
	var key any
	var err error
	if edwards {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
