package process

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/security"
)

// What a role's log says of its certificate: that it ends, a month ahead and once a day;
// that a new one was taken, or why not.
func TestCertificatesAreTold(t *testing.T) {
	dir := t.TempDir()
	ca, err := security.EnsureCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	save := func(validity time.Duration) {
		t.Helper()
		i, err := ca.Issue(security.Grant{Roles: []security.Role{security.Master}, Validity: validity})
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Save(dir, "master"); err != nil {
			t.Fatal(err)
		}
	}
	save(40 * 24 * time.Hour)
	i, err := security.OpenIdentity(dir, security.Master)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := &certificates{identity: i, authority: ca, log: slog.New(slog.NewTextHandler(&out, nil))}
	now := time.Now()
	expect := func(says ...string) {
		t.Helper()
		w.look(now)
		lines := strings.Count(out.String(), "\n")
		for _, s := range says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%q is not told:\n%s", s, &out)
			}
		}
		if lines != len(says) {
			t.Errorf("%d lines, want %d:\n%s", lines, len(says), &out)
		}
		out.Reset()
	}
	expect()
	now = now.Add(11 * 24 * time.Hour)
	expect("ends soon")
	now = now.Add(time.Hour)
	expect()
	now = now.Add(24 * time.Hour)
	expect("ends soon")
	save(365 * 24 * time.Hour)
	expect("was read again")
	key := filepath.Join(dir, "master.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("is not taken")
	expect()
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	expect("is not taken", "the authority's files are not taken")
	expect()
}
