//go:build storage

package s3_test

// The contract against a real server: make test-storage starts one and says where.

import (
	"bytes"
	"crypto/rand"
	"os"
	"path"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/fstest"
	"github.com/tidemill/tidemill/fs/s3"
)

// env is a variable that make test-storage sets; without it the test fails.
func env(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set; run: make test-storage", name)
	}
	return v
}

func server(t *testing.T) *s3.FileSystem {
	t.Helper()
	f, err := s3.New(s3.Options{
		Endpoint: env(t, "TIDEMILL_S3_ENDPOINT"), PathStyle: true, PartBytes: 5 << 20,
		AccessKey: env(t, "TIDEMILL_S3_ACCESS_KEY"), SecretKey: config.Secret(env(t, "TIDEMILL_S3_SECRET_KEY")),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// directory is one that no other test uses, in this run or another.
func directory(t *testing.T) string {
	return path.Join(env(t, "TIDEMILL_S3_BUCKET"), strings.ToLower(cryptoText()))
}

func cryptoText() string { return rand.Text() }

func TestConformanceOnServer(t *testing.T) {
	f := server(t)
	fstest.RunObjects(t, func(t *testing.T) (fs.FileSystem, string) { return f, directory(t) })
}

// Three parts go up at the same time; the bytes come back by ranges, by blocks and
// in small steps.
func TestLargeFileOnServer(t *testing.T) {
	f, name := server(t), path.Join(directory(t), "large")
	data := make([]byte, 17<<20+12345)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile(t.Context(), f, name, data, fs.CreateOptions{IfNotExists: true}); err != nil {
		t.Fatal(err)
	}
	got, err := fs.ReadFile(t.Context(), f, name, 1<<30)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes came back, %v", len(got), err)
	}
	if err := fs.WriteFile(t.Context(), f, name, data, fs.CreateOptions{IfNotExists: true}); err == nil {
		t.Fatal("replaced a file that exists")
	}
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}
