package security

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// ServerName is a name in every certificate that a CA gives: processes are verified by
// it and by their role, since their addresses come and go.
const ServerName = "tidemill.internal"

// Names of files in a directory of certificates.
const (
	caCertFile = "ca.crt"
	caKeyFile  = "ca.key"
)

const (
	caValidity   = 10 * 365 * 24 * time.Hour
	roleValidity = 365 * 24 * time.Hour
	// clockSkew is how far clocks may differ: certificates are valid a little earlier
	// than now.
	clockSkew = time.Hour
)

// CA is a cluster's certificate authority. Beside it there may be others that are trusted,
// as while one takes the place of another. Methods may be called concurrently, Reload by
// one goroutine.
type CA struct {
	dir  string
	held atomic.Pointer[material] // issuer and key are the authority's
}

func newAuthority(key *ecdsa.PrivateKey, cert *x509.Certificate, trusted []*x509.Certificate) *CA {
	ca := &CA{}
	ca.held.Store(&material{authorities: trusted, issuer: cert, key: key})
	return ca
}

// EnsureCA loads the authority in a directory, or makes one there. Of several processes
// that do so at the same time all get the same one.
func EnsureCA(dir string) (*CA, error) {
	root, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	// The key is there first: whoever finds one finishes what was begun.
	fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if err := createUnlessThere(root, caKeyFile, func() ([]byte, error) { return encodeKey(fresh) }); err != nil {
		return nil, err
	}
	key, err := readKey(root, caKeyFile)
	if err != nil {
		return nil, err
	}
	if err := createUnlessThere(root, caCertFile, func() ([]byte, error) { return selfSigned(key, time.Now()) }); err != nil {
		return nil, err
	}
	return loadCA(root)
}

// LoadCA loads the authority in a directory; if there is none it is NotFound.
func LoadCA(dir string) (*CA, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, missing(dir, err)
	}
	defer func() { _ = root.Close() }()
	return loadCA(root)
}

func loadCA(root *os.Root) (*CA, error) {
	key, err := readKey(root, caKeyFile)
	if err != nil {
		return nil, err
	}
	trusted, err := readCerts(root, caCertFile)
	if err != nil {
		return nil, err
	}
	for _, cert := range trusted {
		if cert.IsCA && key.PublicKey.Equal(cert.PublicKey) {
			ca := newAuthority(key, cert, trusted)
			ca.dir = root.Name()
			return ca, nil
		}
	}
	return nil, failure.Errorf(failure.Usage, "%s: %s is not the certificate of %s", root.Name(), caCertFile, caKeyFile)
}

// Grant is what a certificate says of its holder.
type Grant struct {
	Roles []Role
	// Hosts are names and IP addresses by which strangers, such as other Flight clients,
	// verify the process; none are needed by our own.
	Hosts []string
	// From is when it begins; zero: now.
	From time.Time
	// Validity is how long it lasts; zero: a year.
	Validity time.Duration
}

// Issue makes a key and a certificate for it.
func (ca *CA) Issue(g Grant) (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	cert, err := ca.certify(g, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	i := newIdentity(cert, key, ca.held.Load().authorities...)
	if i == nil {
		return nil, failure.Errorf(failure.Internal, "a certificate for %s is not of its authority", join(g.Roles))
	}
	return i, nil
}

// Certificate is the authority's own, in PEM: what others must have to trust it.
func (ca *CA) Certificate() []byte { return encodeCerts(ca.held.Load().issuer) }

// Fingerprint is the SHA-256 of the authority's certificate in hexadecimal.
func (ca *CA) Fingerprint() string { return fingerprint(ca.held.Load().issuer) }

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func (ca *CA) certify(g Grant, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	if len(g.Roles) == 0 {
		return nil, failure.Errorf(failure.Usage, "a certificate without a role is of no use")
	}
	if g.From.IsZero() {
		g.From = time.Now()
	}
	if g.Validity == 0 {
		g.Validity = roleValidity
	}
	t := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"tidemill"}, CommonName: join(g.Roles)},
		NotBefore: g.From.Add(-clockSkew), NotAfter: g.From.Add(g.Validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{ServerName},
	}
	for _, r := range g.Roles {
		t.URIs = append(t.URIs, r.uri())
	}
	for _, h := range g.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	now := ca.held.Load()
	der, err := x509.CreateCertificate(rand.Reader, t, now.issuer, key, now.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate for %s: %w", join(g.Roles), err)
	}
	return x509.ParseCertificate(der)
}

// selfSigned makes the authority's certificate.
func selfSigned(key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	t := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"tidemill"}, CommonName: "tidemill cluster"},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(caValidity),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the authority's certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der}), nil
}

// createUnlessThere creates a file that is not there yet.
func createUnlessThere(root *os.Root, name string, content func() ([]byte, error)) error {
	if _, err := root.Lstat(name); err == nil {
		return nil
	}
	data, err := content()
	if err != nil {
		return err
	}
	if err := create(root, name, data); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create %s: %w", filepath.Join(root.Name(), name), err)
	}
	return nil
}
