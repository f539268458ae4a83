package hdfs

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// 6: levels of protection whose reads the library breaks are refused by name.
func TestBrokenProtectionIsRefused(t *testing.T) {
	const level, all, suites = "dfs.data.transfer.protection", "dfs.encrypt.data.transfer", "dfs.encrypt.data.transfer.cipher.suites"
	for _, c := range []struct {
		conf    Conf
		want    string
		refused string
	}{
		{Conf{}, "", ""},
		{Conf{level: "authentication"}, "authentication", ""},
		{Conf{level: "integrity, authentication"}, "authentication", ""},
		{Conf{level: "Privacy,authentication"}, "authentication", ""},
		{Conf{level: "privacy", suites: aes}, "privacy", ""},
		{Conf{all: "true", suites: aes}, "privacy", ""},
		{Conf{level: "integrity"}, "", "integrity"},
		{Conf{level: "privacy"}, "", "privacy"},
		{Conf{all: "true"}, "", "privacy"},
	} {
		got, err := c.conf.protection()
		if got != c.want || (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%v: %q, %v", c.conf, got, err)
		}
	}
}

func TestLayout(t *testing.T) {
	replication, size, err := Conf{"dfs.replication": "2", "dfs.blocksize": "64M"}.layout()
	if replication != 2 || size != 64<<20 || err != nil {
		t.Errorf("%d, %d, %v", replication, size, err)
	}
	for _, bad := range []Conf{{"dfs.replication": "x"}, {"dfs.replication": "0"}, {"dfs.blocksize": "m"}, {"dfs.blocksize": "-1"}} {
		if _, _, err := bad.layout(); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// 11: what a login needs is said before anything is connected.
func TestKerberosNeedsKeytabAndPrincipal(t *testing.T) {
	secure := Conf{"hadoop.security.authentication": "kerberos"}
	for _, c := range []struct {
		keytab, principal string
		conf              Conf
	}{{"", "", secure}, {"k", "", nil}, {"", "u@R", nil}, {"k", "u", nil}, {"k", "@R", nil}} {
		if _, err := newLogin(c.keytab, c.principal, c.conf); failure.Of(err) != failure.Usage {
			t.Errorf("%q, %q: %v", c.keytab, c.principal, err)
		}
	}
	t.Setenv("KRB5_CONFIG", "/dev/null/none")
	if _, err := newLogin("k", "u@R", nil); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "/dev/null/none") {
		t.Errorf("missing krb5.conf: %v", err)
	}
	if l, err := newLogin("", "", Conf{}); l != nil || err != nil {
		t.Errorf("no kerberos: %v, %v", l, err)
	}
}

// A namenode that does not answer costs what the settings say, and no more.
func TestUnreachableNamenode(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	synctest.Test(t, func(t *testing.T) {
		dials := map[string]int{}
		h := New(Options{ConfDir: t.TempDir(), User: "u", Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dials[address]++
			return nil, refused
		}})
		start := time.Now()
		_, err := h.Stat(t.Context(), "nn/x")
		if failure.Of(err) != failure.Transient || !errors.Is(err, refused) || !strings.Contains(err.Error(), "nn/x") {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took < 25*time.Second || took > 30*time.Second || dials["nn:8020"] < 10 {
			t.Errorf("gave up after %v, dialed %v", took, dials)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Open(ctx, "nn/x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that ends: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if _, err := h.Stat(t.Context(), "nn/x"); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestUnknownHostFailsAtOnce(t *testing.T) {
	h := New(Options{ConfDir: t.TempDir(), User: "u", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "nn", IsNotFound: true}
	}})
	if _, err := h.Stat(t.Context(), "nn/x"); failure.Of(err) != failure.Usage {
		t.Errorf("%v", err)
	}
	if _, err := h.Stat(t.Context(), "/x"); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "fs.defaultFS") {
		t.Errorf("no default: %v", err)
	}
	if err := h.Rename(t.Context(), "a/x", "b/x"); err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("rename to another cluster: %v", err)
	}
	if err := h.RemoveAll(t.Context(), "nn/"); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("remove the root: %v", err)
	}
}

// javaError is what a namenode answers.
type javaError struct{ class string }

func (javaError) Error() string       { return "call failed" }
func (javaError) Method() string      { return "m" }
func (javaError) Desc() string        { return "ERROR_APPLICATION" }
func (e javaError) Exception() string { return e.class }
func (javaError) Message() string     { return "what happened\n\tat org.apache" }

func TestExceptions(t *testing.T) {
	for class, want := range map[string]error{
		"java.io.FileNotFoundException": fs.ErrNotExist, "org.apache.hadoop.fs.ParentNotDirectoryException": fs.ErrNotExist,
		"org.apache.hadoop.fs.FileAlreadyExistsException": fs.ErrExist, "org.apache.hadoop.security.AccessControlException": fs.ErrPermission,
		"org.apache.hadoop.fs.InvalidPathException": fs.ErrInvalid,
	} {
		if err := wrap("stat", "p", javaError{class}); !errors.Is(err, want) {
			t.Errorf("%s: %v", class, err)
		}
	}
	err := wrap("stat", "p", javaError{"java.io.IOException"})
	if err.Error() != "stat p: call failed: what happened" || failure.Of(err).Retryable() {
		t.Errorf("%v", err)
	}
	for _, err := range []error{javaError{"a.SafeModeException"}, io.EOF, errors.New("no available namenodes: x")} {
		if failure.Of(wrap("stat", "p", err)) != failure.Transient {
			t.Errorf("%v is not transient", err)
		}
	}
}
