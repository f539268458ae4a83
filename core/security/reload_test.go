package security

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Certificates and authorities change while processes run: what they hold follows the
// files, and connections that begin later go by it.

// place is the files of a process: the authorities that it trusts, its certificate.
func place(t *testing.T, i *Identity, trusted ...*CA) string {
	t.Helper()
	dir := t.TempDir()
	if err := i.Save(dir, i.Roles()[0].String()); err != nil {
		t.Fatal(err)
	}
	trust(t, dir, trusted...)
	return dir
}

func trust(t *testing.T, dir string, trusted ...*CA) {
	t.Helper()
	var bundle [][]byte
	for _, ca := range trusted {
		bundle = append(bundle, ca.Certificate())
	}
	if err := os.WriteFile(filepath.Join(dir, caCertFile), bytes.Join(bundle, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

func reload(t *testing.T, want bool, all ...*Identity) {
	t.Helper()
	for _, i := range all {
		if changed, err := i.Reload(time.Now()); err != nil || changed != want {
			t.Fatalf("changed %v, %v", changed, err)
		}
	}
}

func open(t *testing.T, dir string, role Role) *Identity {
	t.Helper()
	i, err := OpenIdentity(dir, role)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// The procedure of docs/security.md: trust both authorities, give everybody a certificate
// of the new one, forget the old one. Between any two steps everybody talks; after the
// last one, certificates of the old authority are refused, and so are the calls of those
// who are still connected.
func TestAuthorityIsReplaced(t *testing.T) {
	before, after := newCA(t), newCA(t)
	dirs := []string{place(t, issue(t, before, Master), before), place(t, issue(t, before, Worker), before)}
	master, worker := open(t, dirs[0], Master), open(t, dirs[1], Worker)
	leaked := issue(t, before, Worker)
	thief := leaked.Client()
	thief.VerifyConnection = nil // it believes everybody
	atMaster, toMaster, atWorker, toWorker := master.Server(Worker), worker.Client(Master), worker.Server(Master), master.Client(Worker)
	talk := func() {
		t.Helper()
		if err := errors.Join(shake(atMaster, toMaster), shake(atWorker, toWorker)); err != nil {
			t.Fatal(err)
		}
	}
	renew := func(dir string, i *Identity) { // the authorities stay as they are there
		if err := i.Save(dir, i.Roles()[0].String()); err != nil {
			t.Fatal(err)
		}
		trust(t, dir, before, after)
	}
	talk()
	reload(t, false, master, worker)
	for _, step := range []struct {
		of   *Identity
		what func()
	}{
		{master, func() { trust(t, dirs[0], before, after) }},
		{worker, func() { trust(t, dirs[1], before, after) }},
		{worker, func() { renew(dirs[1], issue(t, after, Worker)) }},
		{master, func() { renew(dirs[0], issue(t, after, Master)) }},
		{worker, func() { trust(t, dirs[1], after) }},
	} {
		step.what()
		reload(t, true, step.of)
		talk()
	}
	connected := []*x509.Certificate{leaked.held.Load().cert, leaked.held.Load().issuer}
	if err := errors.Join(shake(atMaster, thief), master.Check(connected, time.Now())); err != nil {
		t.Errorf("while both are trusted: %v", err)
	}
	trust(t, dirs[0], after)
	reload(t, true, master)
	talk()
	if err := shake(atMaster, thief); err == nil {
		t.Error("a certificate of the old authority is taken")
	}
	if err := master.Check(connected, time.Now()); failure.Of(err) != failure.Unauthorized || !strings.Contains(err.Error(), "not this cluster's any more") {
		t.Errorf("who is still connected: %v", err)
	}
	if err := worker.Check([]*x509.Certificate{worker.held.Load().cert, worker.held.Load().issuer}, time.Now().Add(2*roleValidity)); failure.Of(err) != failure.Unauthorized || !strings.Contains(err.Error(), "ended at") {
		t.Errorf("a certificate that has ended: %v", err)
	}
}

// Files that are half written, or wrong, change nothing and are told once.
func TestBrokenFilesAreNotTaken(t *testing.T) {
	ca := newCA(t)
	dir := place(t, issue(t, ca, Worker), ca)
	i := open(t, dir, Worker)
	was := i.held.Load()
	other := issue(t, ca, Worker)
	if err := other.Save(dir+"-new", "worker"); err != nil {
		t.Fatal(err)
	}
	move := func(name string) {
		if err := os.Rename(filepath.Join(dir+"-new", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	move("worker.crt") // the key is another one's for a moment
	if changed, err := i.Reload(time.Now()); changed || failure.Of(err) != failure.Usage {
		t.Errorf("%v, %v", changed, err)
	}
	reload(t, false, i) // silently
	if i.held.Load() != was {
		t.Error("it has changed")
	}
	move("worker.key")
	reload(t, true, i)
	if !i.held.Load().cert.Equal(other.held.Load().cert) || i.Expiry() != other.Expiry() {
		t.Error("it has not changed")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if changed, err := i.Reload(time.Now()); changed || failure.Of(err) != failure.NotFound {
		t.Errorf("%v, %v", changed, err)
	}
}

// Where the authority's key is, processes make their own certificates, and new ones in
// time. An authority that changes is read again, too.
func TestOwnCertificatesAreRenewed(t *testing.T) {
	dir := t.TempDir()
	ca, err := EnsureCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	i := open(t, dir, Master)
	was := i.Expiry()
	reload(t, false, i)
	if changed, err := i.Reload(was.Add(-roleValidity / 2)); changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if changed, err := i.Reload(was.Add(-roleValidity / 4)); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if changed, err := ca.Reload(); changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	fresh := t.TempDir()
	next, err := EnsureCA(fresh)
	if err != nil {
		t.Fatal(err)
	}
	trust(t, dir, next, ca)
	if _, err := ca.Reload(); err != nil { // the key is the old one's: both are found
		t.Error(err)
	}
	if err := os.Rename(filepath.Join(fresh, caKeyFile), filepath.Join(dir, caKeyFile)); err != nil {
		t.Fatal(err)
	}
	if changed, err := ca.Reload(); !changed || err != nil || ca.Fingerprint() != next.Fingerprint() {
		t.Errorf("%v, %v", changed, err)
	}
	reload(t, true, i)
	if !i.held.Load().issuer.Equal(next.held.Load().issuer) {
		t.Error("the certificate is the old authority's")
	}
	// Who joins now trusts both.
	join, err := ca.JoinToken([]Role{Worker}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	j, err := ParseJoin(join)
	if err != nil {
		t.Fatal(err)
	}
	a, err := j.Apply()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ca.Enroll(join.Reveal(), a.Request, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	joined, err := a.Accept(answer)
	if err != nil || len(joined.held.Load().authorities) != 2 {
		t.Fatalf("%v", err)
	}
	if err := os.Remove(filepath.Join(dir, caKeyFile)); err != nil {
		t.Fatal(err)
	}
	if changed, err := ca.Reload(); changed || failure.Of(err) != failure.NotFound {
		t.Errorf("%v, %v", changed, err)
	}
	if changed, err := issue(t, next, Worker).Reload(time.Now()); changed || err != nil {
		t.Errorf("of no files: %v, %v", changed, err)
	}
	if _, err := OpenIdentity(t.TempDir(), Worker); failure.Of(err) != failure.NotFound {
		t.Error(err)
	}
}
