package security

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tidemill/tidemill/core/failure"
)

// Identity is a process's certificate and key, and the authority that it trusts. It is
// immutable. A client without a certificate has a Trust only.
type Identity struct {
	Trust
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Trust is an authority that is believed when it says who somebody is.
type Trust struct {
	ca *x509.Certificate
}

func newIdentity(cert, ca *x509.Certificate, key *ecdsa.PrivateKey) *Identity {
	return &Identity{Trust: Trust{ca}, cert: cert, key: key}
}

// Roles are those of the certificate.
func (i *Identity) Roles() []Role { return RolesOf(i.cert) }

// Save writes certificate and key into a directory, as NAME.crt and NAME.key, and the
// authority's certificate. What was there under the name is replaced.
func (i *Identity) Save(dir, name string) error {
	root, err := makeDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	key, err := encodeKey(i.key)
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
	}{{caCertFile, encodeCerts(i.ca)}, {name + ".key", key}, {name + ".crt", encodeCerts(i.cert)}}
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
	return newIdentity(cert[0], ca[0], key), nil
}

// LoadTrust loads the authority's certificate alone, as a client without an own one
// needs it.
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
	return Trust{ca[0]}, nil
}

// Server is the configuration of a listener. With roles, callers need a certificate
// that has one of them; with none they may come without, and whoever shows one has its
// roles looked at later.
func (i *Identity) Server(callers ...Role) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.certificate()},
		ClientCAs: i.pool(), ClientAuth: tls.VerifyClientCertIfGiven,
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
	c.Certificates = []tls.Certificate{i.certificate()}
	return c
}

// Client is the configuration of a caller who has no certificate. With roles, the other
// side must have one of them.
func (t Trust) Client(servers ...Role) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: t.pool(), ServerName: ServerName}
	if len(servers) > 0 {
		c.VerifyConnection = verifyRole(servers)
	}
	return c
}

// Fingerprint is the SHA-256 of the authority's certificate in hexadecimal.
func (t Trust) Fingerprint() string { return fingerprint(t.ca) }

// certificate has the authority's certificate in its chain, so that a process that
// knows only its fingerprint can believe it.
func (i *Identity) certificate() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.cert.Raw, i.ca.Raw}, PrivateKey: i.key, Leaf: i.cert}
}

func (t Trust) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(t.ca)
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
