package security

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Processes know each other by certificates of one authority, and by role.

func TestAuthorityIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	if _, err := LoadCA(dir); failure.Of(err) != failure.NotFound {
		t.Fatalf("before there is one: %v", err)
	}
	found := make([]*CA, 8)
	var wait sync.WaitGroup
	for i := range found {
		wait.Go(func() { found[i], _ = EnsureCA(dir) })
	}
	wait.Wait()
	for _, ca := range found {
		if ca == nil || ca.Fingerprint() != found[0].Fingerprint() {
			t.Fatal("processes that start together have different authorities")
		}
	}
	loaded, err := LoadCA(dir)
	if err != nil || !bytes.Equal(loaded.Certificate(), found[0].Certificate()) {
		t.Fatal(err)
	}
	d, err := os.Stat(dir)
	if err != nil || d.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", d.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	// A crash after the key was made is made good.
	if err := os.Remove(filepath.Join(dir, caCertFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureCA(dir); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenFiles(t *testing.T) {
	ca := newCA(t)
	other, good := t.TempDir(), t.TempDir()
	for _, dir := range []string{other, good} {
		if err := issue(t, ca, Worker).Save(dir, "worker"); err != nil {
			t.Fatal(err)
		}
	}
	foreignKey, err := os.ReadFile(filepath.Join(other, "worker.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(good, "worker.key"))
	if err != nil {
		t.Fatal(err)
	}
	cert := readFile(t, filepath.Join(good, "worker.crt"))
	for _, c := range []struct {
		file, content, says string
		mode                os.FileMode
		class               failure.Class
	}{
		{"worker.key", string(key), "chmod 600", 0o644, failure.Unauthorized},
		{"worker.key", string(foreignKey), "not the certificate of", 0o600, failure.Usage},
		{"worker.key", "no key", "not a PKCS #8 key", 0o600, failure.Usage},
		{"worker.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key in", 0o600, failure.Usage},
		{"worker.key", cert, "not a PKCS #8 key", 0o600, failure.Usage},
		{"worker.crt", string(key), `block "PRIVATE KEY"`, 0o600, failure.Usage},
		{"worker.crt", "", "not PEM", 0o600, failure.Usage},
		{"worker.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate in", 0o600, failure.Usage},
		{caCertFile, "x", "not PEM", 0o600, failure.Usage},
		{caCertFile, string(newCA(t).Certificate()), "is not of an authority in ca.crt", 0o600, failure.Usage},
	} {
		path := filepath.Join(good, c.file)
		before := readFile(t, path)
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte(c.content), c.mode)); err != nil {
			t.Fatal(err)
		}
		_, err := LoadIdentity(good, "worker")
		if failure.Of(err) != c.class || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), good) {
			t.Errorf("%s with %.20q: %v (%v)", c.file, c.content, err, failure.Of(err))
		}
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte(before), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadIdentity(good, "master"); failure.Of(err) != failure.NotFound {
		t.Error(err)
	}
	if _, err := LoadIdentity(good, "../"+filepath.Base(other)+"/worker"); err == nil {
		t.Error("a name that leaves the directory")
	}
	if err := issue(t, ca, Worker).Save(filepath.Join(good, "worker.crt"), "worker"); err == nil {
		t.Error("a directory that is a file")
	}
	if _, err := ca.Issue(Grant{}); failure.Of(err) != failure.Usage {
		t.Error(err)
	}
}

func TestIdentityIsKept(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	made := issue(t, ca, Master, Worker)
	for range 2 { // the second time in place of the first
		if err := made.Save(dir, "both"); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := LoadIdentity(dir, "both")
	if err != nil || !loaded.held.Load().key.Equal(made.held.Load().key) || !loaded.held.Load().cert.Equal(made.held.Load().cert) {
		t.Fatal(err)
	}
	if got := join(loaded.Roles()); got != "master or worker" {
		t.Error(got)
	}
	trust, err := LoadTrust(dir)
	if err != nil || trust.Fingerprint() != ca.Fingerprint() {
		t.Error(err)
	}
	if _, err := LoadTrust(t.TempDir()); failure.Of(err) != failure.NotFound {
		t.Error(err)
	}
}

// Who talks to whom. The error is the one of the side that refuses.
func TestHandshakes(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	master, worker := issue(t, ca, Master), issue(t, ca, Worker)
	grant := func(g Grant) *Identity {
		g.Roles = []Role{Worker}
		i, err := ca.Issue(g)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	unshown := master.Trust.Client()
	with := func(i *Identity, key *ecdsa.PrivateKey) *tls.Config {
		c, shown := i.Trust.Client(), i.held.Load().certificate()
		shown.PrivateKey = key
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
		return c
	}
	pool := master.held.Load().pool()
	stranger := issue(t, foreign, Worker)
	outside := with(stranger, stranger.held.Load().key)
	outside.VerifyConnection = nil // it believes everybody
	for name, c := range map[string]struct {
		server, client *tls.Config
		says           string // by one of the two; empty: they talk
	}{
		"both of the cluster":           {master.Server(Worker), worker.Client(Master), ""},
		"one of several roles":          {issue(t, ca, Worker, Master).Server(Worker), issue(t, ca, Shuffle, Worker).Client(Master), ""},
		"without a certificate":         {master.Server(), unshown, ""},
		"without, where one is wanted":  {master.Server(Worker), unshown, "client didn't provide a certificate"},
		"caller of another role":        {master.Server(Shuffle), worker.Client(), "of role worker, not shuffle"},
		"server of another role":        {worker.Server(), worker.Client(Master), "of role worker, not master"},
		"caller of another cluster":     {master.Server(Worker), outside, "signed by unknown authority"},
		"server of another cluster":     {issue(t, foreign, Master).Server(), worker.Client(), "signed by unknown authority"},
		"certificate with another key":  {master.Server(Worker), with(worker, master.held.Load().key), "invalid signature by the client certificate"},
		"expired caller":                {master.Server(Worker), grant(Grant{From: time.Now().Add(-48 * time.Hour), Validity: time.Hour}).Client(), "expired"},
		"expired server":                {grant(Grant{From: time.Now().Add(-48 * time.Hour), Validity: time.Hour}).Server(), worker.Client(), "expired"},
		"not valid yet":                 {grant(Grant{From: time.Now().Add(2 * clockSkew)}).Server(), worker.Client(), "not yet valid"},
		"a clock that is a little late": {grant(Grant{From: time.Now().Add(clockSkew - time.Minute)}).Server(), worker.Client(), ""},
		"old TLS":                       {master.Server(), &tls.Config{RootCAs: pool, ServerName: ServerName, MaxVersion: tls.VersionTLS12}, "unsupported versions"},
		"by host":                       {grant(Grant{Hosts: []string{"worker-1.example", "192.0.2.7"}}).Server(), &tls.Config{RootCAs: pool, ServerName: "worker-1.example"}, ""},
		"by address":                    {grant(Grant{Hosts: []string{"worker-1.example", "192.0.2.7"}}).Server(), &tls.Config{RootCAs: pool, ServerName: "192.0.2.7"}, ""},
		"by another host":               {grant(Grant{Hosts: []string{"worker-1.example"}}).Server(), &tls.Config{RootCAs: pool, ServerName: "worker-2.example"}, "not worker-2.example"},
	} {
		t.Run(name, func(t *testing.T) {
			err := shake(c.server, c.client)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, expected %q", err, c.says)
			}
		})
	}
}

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := EnsureCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *CA, roles ...Role) *Identity {
	t.Helper()
	i, err := ca.Issue(Grant{Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shake has two sides greet each other, and joins their errors.
func shake(server, client *tls.Config) error {
	a, b := net.Pipe()
	s, c := tls.Server(a, server), tls.Client(b, client)
	served := make(chan error)
	go func() {
		err := s.Handshake()
		_ = a.Close()
		served <- err
	}()
	err := c.Handshake()
	_, _ = c.Read(make([]byte, 1)) // what the server says of our certificate
	_ = b.Close()
	return errors.Join(err, <-served)
}

func TestRoles(t *testing.T) {
	for r := Master; r <= Client; r++ {
		if got, err := ParseRole(r.String()); got != r || err != nil {
			t.Errorf("%v: %v, %v", r, got, err)
		}
	}
	for _, name := range []string{"", "invalid", "Master", "root"} {
		if _, err := ParseRole(name); failure.Of(err) != failure.Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := Role(99).String(); got != "role 99" {
		t.Error(got)
	}
}
