package security

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Identity is a process's certificate and key, and the authorities that it trusts. What it
// holds may be replaced by newer files (Reload): TLS of later connections goes by it. A
// client without a certificate has a Trust only. Methods may be called concurrently.
type Identity struct {
	Trust
	files source
}

// Trust is what is believed when it says who somebody is: one authority, or two while one
// takes the place of the other.
type Trust struct {
	held *atomic.Pointer[material]
}

// material is what an identity or a trust holds at a time. It is immutable.
type material struct {
	authorities []*x509.Certificate
	issuer      *x509.Certificate // of cert, among the authorities
	cert        *x509.Certificate // nil: it is a trust's
	key         *ecdsa.PrivateKey
}

func hold(m *material) Trust {
	t := Trust{new(atomic.Pointer[material])}
	t.held.Store(m)
	return t
}

// newIdentity takes a certificate of one of the authorities; nil: it is of none.
func newIdentity(cert *x509.Certificate, key *ecdsa.PrivateKey, authorities ...*x509.Certificate) *Identity {
	for _, ca := range authorities {
		if cert.CheckSignatureFrom(ca) == nil {
			return &Identity{Trust: hold(&material{authorities: authorities, issuer: ca, cert: cert, key: key})}
		}
	}
	return nil
}

// Roles are those of the certificate.
func (i *Identity) Roles() []Role { return RolesOf(i.held.Load().cert) }

// Expiry is when the certificate ends, or its authority's if that is sooner.
func (i *Identity) Expiry() time.Time {
	m := i.held.Load()
	if m.issuer.NotAfter.Before(m.cert.NotAfter) {
		return m.issuer.NotAfter
	}
	return m.cert.NotAfter
}

// Save writes certificate and key into a directory, as NAME.crt and NAME.key, and the
// authority's certificate. What was there under the name is replaced.
func (i *Identity) Save(dir, name string) error {
	root, err := makeDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	now := i.held.Load()
	key, err := encodeKey(now.key)
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
	}{{caCertFile, encodeCerts(now.authorities...)}, {name + ".key", key}, {name + ".crt", encodeCerts(now.cert)}}
	for _, f := range files {
		if err := replace(root, f.name, f.data); err != nil {
			return fmt.Errorf("save %s: %w", filepath.Join(dir, f.name), err)
		}
	}
	return nil
}

// LoadIdentity is the inverse of Save. A key that others than its owner may read is
// refused.
func LoadIdentity(dir, name string) (*Identity, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, missing(dir, err)
	}
	defer func() { _ = root.Close() }()
	ca, err := readCerts(root, caCertFile)
	if err != nil {
		return nil, err
	}
	cert, err := readCerts(root, name+".crt")
	if err != nil {
		return nil, err
	}
	key, err := readKey(root, name+".key")
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert[0].PublicKey) {
		return nil, failure.Errorf(failure.Usage, "%s: %s.crt is not the certificate of %s.key", dir, name, name)
	}
	i := newIdentity(cert[0], key, ca...)
	if i == nil {
		return nil, failure.Errorf(failure.Usage, "%s: %s.crt is not of an authority in %s", dir, name, caCertFile)
	}
	return i, nil
}

// LoadTrust loads the authorities' certificates alone, as a client without an own one
// needs them.
func LoadTrust(dir string) (Trust, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Trust{}, missing(dir, err)
	}
	defer func() { _ = root.Close() }()
	ca, err := readCerts(root, caCertFile)
	if err != nil {
		return Trust{}, err
	}
	return hold(&material{authorities: ca}), nil
}

// Server is the configuration of a listener. With roles, callers need a certificate
// that has one of them; with none they may come without, and whoever shows one has its
// roles looked at later.
func (i *Identity) Server(callers ...Role) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return i.server(callers), nil
		},
	}
}

// server is Server for one connection. None is resumed: its certificate would be believed
// for as long as the ticket is good.
func (i *Identity) server(callers []Role) *tls.Config {
	now := i.held.Load()
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{now.certificate()},
		ClientCAs: now.pool(), ClientAuth: tls.VerifyClientCertIfGiven, SessionTicketsDisabled: true,
	}
	if len(callers) > 0 {
		c.ClientAuth, c.VerifyConnection = tls.RequireAndVerifyClientCert, verifyRole(callers)
	}
	return c
}

// Client is the configuration of a caller who shows its certificate. With roles, the
// other side must have one of them.
func (i *Identity) Client(servers ...Role) *tls.Config {
	c := i.Trust.Client(servers...)
	c.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		mine := i.held.Load().certificate()
		if asked.SupportsCertificate(&mine) != nil {
			return &tls.Certificate{}, nil // the other side does not know our authority: we show none
		}
		return &mine, nil
	}
	return c
}

// Client is the configuration of a caller who has no certificate. With roles, the other
// side must have one of them.
func (t Trust) Client(servers ...Role) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: ServerName,
		InsecureSkipVerify: true, // by crypto/tls: it would go by the authorities of now
		VerifyConnection: func(s tls.ConnectionState) error {
			if err := t.held.Load().verify(s.PeerCertificates); err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
			}
			if len(servers) > 0 {
				return CheckRole(s.PeerCertificates[0], servers...)
			}
			return nil
		},
	}
}

// verify believes a server whose certificate is of an authority.
func (m *material) verify(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return failure.Errorf(failure.Unauthorized, "the other side shows no certificate")
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: ServerName, Roots: m.pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// Check says why a chain that was verified when its connection began is not good any
// more, or nil: it has ended, or its authority was taken out since.
func (t Trust) Check(chain []*x509.Certificate, now time.Time) error {
	for _, c := range chain {
		if now.After(c.NotAfter) {
			return failure.Errorf(failure.Unauthorized, "the certificate ended at %s", c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	if len(chain) == 0 || !slices.ContainsFunc(t.held.Load().authorities, chain[len(chain)-1].Equal) {
		return failure.Errorf(failure.Unauthorized, "the certificate's authority is not this cluster's any more")
	}
	return nil
}

// Fingerprint is the SHA-256 of the first authority's certificate in hexadecimal.
func (t Trust) Fingerprint() string { return fingerprint(t.held.Load().authorities[0]) }

// certificate has the authority's certificate in its chain, so that a process that
// knows only its fingerprint can believe it.
func (m *material) certificate() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{m.cert.Raw, m.issuer.Raw}, PrivateKey: m.key, Leaf: m.cert}
}

func (m *material) pool() *x509.CertPool { return poolOf(m.authorities...) }

func poolOf(authorities ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range authorities {
		p.AddCert(c)
	}
	return p
}

func verifyRole(wanted []Role) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return failure.Errorf(failure.Unauthorized, "the other side shows no certificate")
		}
		return CheckRole(s.PeerCertificates[0], wanted...)
	}
}

const (
	certBlock = "CERTIFICATE"
	keyBlock  = "PRIVATE KEY"
)

func encodeCerts(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: c.Raw})...)
	}
	return out
}

func encodeKey(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// readCerts reads at least one certificate.
func readCerts(root *os.Root, name string) ([]*x509.Certificate, error) {
	data, err := read(root, name, false)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	certs, err := parseCerts(data)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "certificate in %s: %w", filepath.Join(root.Name(), name), err)
	}
	return certs, nil
}

func parseCerts(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != certBlock {
			return nil, fmt.Errorf("it has a block %q", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("it is not PEM")
	}
	return out, nil
}

func readKey(root *os.Root, name string) (*ecdsa.PrivateKey, error) {
	data, err := read(root, name, true)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	path := filepath.Join(root.Name(), name)
	block, _ := pem.Decode(data)
	if block == nil || block.Type != keyBlock {
		return nil, failure.Errorf(failure.Usage, "key in %s: it is not a PKCS #8 key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "key in %s: %w", path, err)
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, failure.Errorf(failure.Usage, "key in %s: a %T, not ECDSA", path, key)
	}
	return k, nil
}
