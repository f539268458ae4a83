package metatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

// RunBlobs checks the contract of blobs, on an empty store whose limit is maxBytes.
func RunBlobs(t *testing.T, maxBytes int, make func(t *testing.T) raftmeta.Blobs) {
	tests := []struct {
		name string
		run  func(t *testing.T, b raftmeta.Blobs)
	}{
		{"put and get", testBlobs},
		{"results are copies", testBlobCopies},
		{"what is not there", testNoBlob},
		{"young blobs stay", testYoungBlob},
		{"concurrent puts", testConcurrentBlobs},
		{"done contexts", testBlobContext},
		{"limit", func(t *testing.T, b raftmeta.Blobs) { testBlobLimit(t, b, maxBytes) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, make(t)) })
	}
}

func putBlob(t *testing.T, b raftmeta.Blobs, data string) raftmeta.BlobName {
	t.Helper()
	name, err := b.Put(t.Context(), []byte(data))
	if err != nil || name != raftmeta.NameOf([]byte(data)) {
		t.Fatalf("put as %s, %v", name, err)
	}
	return name
}

func wantBlob(t *testing.T, b raftmeta.Blobs, want string) {
	t.Helper()
	got, err := b.Get(t.Context(), raftmeta.NameOf([]byte(want)))
	if err != nil || string(got) != want {
		t.Fatalf("got %.20q, %v, want %.20q", got, err, want)
	}
}

func testBlobs(t *testing.T, b raftmeta.Blobs) {
	large := strings.Repeat("large", 100_000)
	for _, data := range []string{"", "a", large, "a"} {
		putBlob(t, b, data)
	}
	for _, data := range []string{large, "a", ""} {
		wantBlob(t, b, data)
	}
}

func testBlobCopies(t *testing.T, b raftmeta.Blobs) {
	data := []byte("value")
	name, err := b.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	copy(data, "xxxxx")
	got, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	copy(got, "xxxxx")
	wantBlob(t, b, "value")
}

func testNoBlob(t *testing.T, b raftmeta.Blobs) {
	other := raftmeta.NameOf([]byte("other"))
	for _, name := range []raftmeta.BlobName{
		other, "", "x", "../" + other[3:], other + other, raftmeta.BlobName(strings.ToUpper(string(other))), "/etc/passwd", ".",
	} {
		if _, err := b.Get(t.Context(), name); !errors.Is(err, raftmeta.ErrNotFound) || failure.Of(err) != failure.NotFound {
			t.Errorf("%q: %v of class %v", name, err, failure.Of(err))
		}
	}
}

func testYoungBlob(t *testing.T, b raftmeta.Blobs) {
	putBlob(t, b, "young")
	if err := b.Collect(t.Context(), func(raftmeta.BlobName) bool { return false }); err != nil {
		t.Fatal(err)
	}
	wantBlob(t, b, "young")
}

func testConcurrentBlobs(t *testing.T, b raftmeta.Blobs) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 10 {
				data := bytes.Repeat(fmt.Append(nil, i), 1000)
				name, err := b.Put(t.Context(), data)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := b.Get(t.Context(), name); err != nil || !bytes.Equal(got, data) {
					t.Errorf("blob %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func testBlobContext(t *testing.T, b raftmeta.Blobs) {
	name := putBlob(t, b, "value")
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Get(done, name); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if err := b.Collect(done, func(raftmeta.BlobName) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("collect: %v", err)
	}
	if _, err := b.Put(done, []byte("other")); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
}

func testBlobLimit(t *testing.T, b raftmeta.Blobs, maxBytes int) {
	putBlob(t, b, strings.Repeat("x", maxBytes))
	if _, err := b.Put(t.Context(), make([]byte, maxBytes+1)); !errors.Is(err, raftmeta.ErrBlobTooLarge) || failure.Of(err) != failure.Fatal {
		t.Errorf("too large: %v of class %v", err, failure.Of(err))
	}
}
