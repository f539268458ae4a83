package security

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Join is what a join token says: whoever shows one to a master that has the
// authority's key is given a certificate of these roles, until it expires. It carries
// the authority's fingerprint, so that the process that joins knows whom to believe.
type Join struct {
	Roles       []Role
	Expiry      time.Time // to the second
	fingerprint [sha256.Size]byte
}

const (
	joinPrefix  = "tmj_"
	joinVersion = 1
	joinBody    = 1 + 1 + 8 + sha256.Size
	joinSize    = joinBody + sha256.Size
)

// JoinToken makes a join token. It may be used more than once; it cannot be taken back
// but by a new authority, so it should not last longer than it takes to use it.
func (ca *CA) JoinToken(roles []Role, expiry time.Time) (Token, error) {
	if len(roles) == 0 {
		return Token{}, failure.Errorf(failure.Usage, "a join token without a role is of no use")
	}
	var bits byte
	for _, r := range roles {
		bits |= 1 << r
	}
	sum := sha256.Sum256(ca.held.Load().issuer.Raw)
	b := append(make([]byte, 0, joinSize), joinVersion, bits)
	b = binary.LittleEndian.AppendUint64(b, uint64(expiry.Unix()))
	b = append(b, sum[:]...)
	m, err := ca.joinMAC(b)
	if err != nil {
		return Token{}, err
	}
	return ParseToken(joinPrefix + base64.RawURLEncoding.EncodeToString(append(b, m...)))
}

// ParseJoin reads a join token, without knowing whether the authority has made it.
func ParseJoin(t Token) (Join, error) {
	j, _, err := decodeJoin(t.Reveal())
	return j, err
}

// CheckJoin verifies that a join token was made by the authority and is good at now; any
// other is Unauthorized, with the reason.
func (ca *CA) CheckJoin(shown string, now time.Time) (Join, error) {
	j, b, err := decodeJoin(shown)
	if err != nil {
		return Join{}, failure.Wrap(failure.Unauthorized, err)
	}
	m, err := ca.joinMAC(b[:joinBody])
	if err != nil {
		return Join{}, err
	}
	if !hmac.Equal(m, b[joinBody:]) {
		return Join{}, failure.Errorf(failure.Unauthorized, "the join token is not of this cluster")
	}
	if !now.Before(j.Expiry) {
		return Join{}, failure.Errorf(failure.Unauthorized, "the join token expired at %s", j.Expiry.UTC().Format(time.RFC3339))
	}
	return j, nil
}

// Enroll gives who shows a join token a certificate for the key of a request (Applicant).
// It returns the certificate, the authority's, and what else is trusted, in PEM.
func (ca *CA) Enroll(shown string, request []byte, now time.Time) ([]byte, error) {
	j, err := ca.CheckJoin(shown, now)
	if err != nil {
		return nil, err
	}
	r, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "request for a certificate: %w", err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, failure.Errorf(failure.Unauthorized, "request for a certificate: it does not prove that its key is there: %w", err)
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, failure.Errorf(failure.Usage, "request for a certificate: its key is not of ECDSA P-256")
	}
	// What else the request wishes for does not count: the token says what is given.
	cert, err := ca.certify(Grant{Roles: j.Roles, From: now}, key)
	if err != nil {
		return nil, err
	}
	// Who joins believes the authority that the token names, and by it the others.
	held := ca.held.Load()
	answer := []*x509.Certificate{cert, held.issuer}
	for _, c := range held.authorities {
		if !c.Equal(held.issuer) {
			answer = append(answer, c)
		}
	}
	return encodeCerts(answer...), nil
}

func (ca *CA) joinMAC(body []byte) ([]byte, error) {
	key, err := ca.held.Load().key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("the authority's key: %w", err)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("tidemill join"))
	h = hmac.New(sha256.New, h.Sum(nil))
	h.Write(body)
	return h.Sum(nil), nil
}

func decodeJoin(text string) (Join, []byte, error) {
	malformed := failure.Errorf(failure.Usage, "it is not a join token")
	rest, ok := strings.CutPrefix(text, joinPrefix)
	if !ok {
		return Join{}, nil, malformed
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil || len(b) != joinSize || b[0] != joinVersion {
		return Join{}, nil, malformed
	}
	j := Join{Expiry: time.Unix(int64(binary.LittleEndian.Uint64(b[2:])), 0), fingerprint: [sha256.Size]byte(b[10:joinBody])}
	for r := Master; r <= Client; r++ {
		if b[1]&(1<<r) != 0 {
			j.Roles = append(j.Roles, r)
		}
	}
	return j, b, nil
}

// Client is the configuration of a caller who knows nothing but the token: it believes a
// master whose certificate is of the authority with that fingerprint.
func (j Join) Client() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: ServerName,
		InsecureSkipVerify: true, // the authority comes with the connection: see below
		VerifyConnection:   j.verify,
	}
}

func (j Join) verify(s tls.ConnectionState) error {
	for _, c := range s.PeerCertificates {
		if !c.IsCA || sha256.Sum256(c.Raw) != j.fingerprint {
			continue
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
			DNSName: ServerName, Roots: poolOf(c), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		return CheckRole(s.PeerCertificates[0], Master)
	}
	return failure.Errorf(failure.Unauthorized, "the other side's authority is not the one that the join token names")
}

// Applicant is a process that asks for a certificate.
type Applicant struct {
	join Join
	key  *ecdsa.PrivateKey
	// Request is what it asks with: a certificate request of PKCS #10.
	Request []byte
}

// Apply makes a key and a request for a certificate.
func (j Join) Apply() (*Applicant, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	r, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a request for a certificate: %w", err)
	}
	return &Applicant{join: j, key: key, Request: r}, nil
}

// Accept takes the answer to the request, if it is what was asked for.
func (a *Applicant) Accept(answer []byte) (*Identity, error) {
	certs, err := parseCerts(answer)
	if err != nil {
		return nil, failure.Errorf(failure.Unauthorized, "certificate: %w", err)
	}
	if len(certs) < 2 || sha256.Sum256(certs[1].Raw) != a.join.fingerprint || !a.key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, failure.Errorf(failure.Unauthorized, "certificate: it is not the one that was asked for")
	}
	if err := certs[0].CheckSignatureFrom(certs[1]); err != nil {
		return nil, failure.Errorf(failure.Unauthorized, "certificate: %w", err)
	}
	return newIdentity(certs[0], a.key, certs[1:]...), nil
}
