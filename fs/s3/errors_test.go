package s3

// What each way in which a request can fail becomes, against a scripted server in
// the same process.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// script answers requests one after the other; the last answer repeats.
type script struct {
	answers []func(*http.Request) (*http.Response, error)
	asked   []string
}

func (s *script) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.Header.Get("Range")))
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return answer(r)
}

func reply(status int, header, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{
			StatusCode: status, Header: http.Header{}, Request: r, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		}
		resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
		for _, line := range strings.Split(header, "\n") {
			if k, v, ok := strings.Cut(line, ": "); ok {
				resp.Header.Set(k, v)
			}
		}
		return resp, nil
	}
}

func code(status int, code string) func(*http.Request) (*http.Response, error) {
	return reply(status, "", fmt.Sprintf("<Error><Code>%s</Code><Message>because</Message></Error>", code))
}

func reset(*http.Request) (*http.Response, error) { return nil, syscall.ECONNRESET }

// brokenOff sends the first bytes of a body that it promised to be longer.
func brokenOff(header, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		resp, _ := reply(http.StatusPartialContent, header, body)(r)
		resp.ContentLength = 10
		resp.Header.Set("Content-Length", "10")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), errorReader{}))
		return resp, nil
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, syscall.ECONNRESET }

func scripted(t *testing.T, answers ...func(*http.Request) (*http.Response, error)) (*FileSystem, *script) {
	t.Helper()
	s := &script{answers: answers}
	f, err := New(Options{
		Endpoint: "http://s3.test", PathStyle: true, AccessKey: "key", SecretKey: "hush", Attempts: 3, RetryDelay: time.Nanosecond, HTTP: s,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, s
}

const whole = "Content-Range: bytes 0-9/10\nETag: \"e\""

func TestOpenErrors(t *testing.T) {
	good := reply(http.StatusPartialContent, whole, "0123456789")
	for _, c := range []struct {
		name    string
		answers []func(*http.Request) (*http.Response, error)
		is      error
		class   failure.Class
		asked   int
		retries int
		errors  int
	}{
		{"denied", []func(*http.Request) (*http.Response, error){code(403, "AccessDenied")}, fs.ErrPermission, failure.Unauthorized, 1, 0, 1},
		{
			"missing",
			[]func(*http.Request) (*http.Response, error){code(404, "NoSuchKey"), reply(200, "", "<ListBucketResult/>")},
			fs.ErrNotExist, failure.NotFound, 2, 0, 0,
		},
		{"busy for ever", []func(*http.Request) (*http.Response, error){code(503, "SlowDown")}, nil, failure.Transient, 3, 2, 3},
		{"broken for ever", []func(*http.Request) (*http.Response, error){reset}, nil, failure.Transient, 3, 2, 3},
		{"wrong region", []func(*http.Request) (*http.Response, error){code(301, "PermanentRedirect")}, nil, failure.Usage, 1, 0, 1},
		{"500, then well", []func(*http.Request) (*http.Response, error){code(500, "InternalError"), good}, nil, 0, 2, 1, 1},
		{"503, then well", []func(*http.Request) (*http.Response, error){code(503, "SlowDown"), good}, nil, 0, 2, 1, 1},
		{"reset, then well", []func(*http.Request) (*http.Response, error){reset, good}, nil, 0, 2, 1, 1},
		{"broken off for ever", []func(*http.Request) (*http.Response, error){
			brokenOff(whole, ""),
		}, nil, failure.Transient, 6, 5, 6},
		{"another end", []func(*http.Request) (*http.Response, error){
			reply(http.StatusPartialContent, "Content-Range: bytes 0-9/20\nETag: \"e\"", "0123456789"),
		}, nil, failure.Fatal, 1, 0, 0},
		{"broken off, then another part", []func(*http.Request) (*http.Response, error){
			brokenOff(whole, "0123"), reply(http.StatusPartialContent, "Content-Range: bytes 0-5/10", "012345"),
		}, nil, failure.Fatal, 2, 1, 1},
		{"broken off, then the rest", []func(*http.Request) (*http.Response, error){
			brokenOff(whole, "0123"), reply(http.StatusPartialContent, "Content-Range: bytes 4-9/10", "456789"),
		}, nil, 0, 2, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, s := scripted(t, c.answers...)
			data, err := fs.ReadFile(t.Context(), f, "bucket/dir/key", 100)
			if stats := f.Stats(); len(s.asked) != c.asked || stats.Requests != uint64(c.asked) || stats.Retries != uint64(c.retries) || stats.Errors != uint64(c.errors) {
				t.Errorf("asked %q, counted %+v", s.asked, stats)
			}
			if c.class == 0 {
				if err != nil || !bytes.Equal(data, []byte("0123456789")) {
					t.Fatalf("%q, %v", data, err)
				}
				return
			}
			if err == nil || failure.Of(err) != c.class || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), "bucket/dir/key") ||
				strings.Contains(err.Error(), "hush") {
				t.Fatalf("%s: %v", failure.Of(err), err)
			}
		})
	}
}

// Who is refused learns by which bucket, and what to check.
func TestDenied(t *testing.T) {
	for name, advice := range map[string]string{
		"AccessDenied": "bucket's policy", "InvalidAccessKeyId": "s3.access-key", "SignatureDoesNotMatch": "s3.secret-key",
		"RequestTimeTooSkewed": "clock", "ExpiredToken": "expired",
	} {
		f, _ := scripted(t, code(403, name))
		_, openErr := f.Open(t.Context(), "mine/dir/key")
		_, statErr := f.Stat(t.Context(), "mine/dir/key")
		listErr := f.List(t.Context(), "mine/dir", fs.ListOptions{}, func(fs.Info) error { return nil })
		writeErr := fs.WriteFile(t.Context(), f, "mine/dir/key", []byte("x"), fs.CreateOptions{})
		removeErr := f.Remove(t.Context(), "mine/dir/key")
		for i, err := range []error{openErr, statErr, listErr, writeErr, removeErr} {
			if failure.Of(err) != failure.Unauthorized || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "bucket mine: ") {
				t.Errorf("%s, call %d: %v", name, i, err)
			}
		}
		if !strings.Contains(openErr.Error(), advice) {
			t.Error(openErr)
		}
	}
}

// An endpoint that is not there, or no credentials: said at once, or after the
// tries, with the name of what to change.
func TestWrongEndpoint(t *testing.T) {
	for cause, class := range map[error]failure.Class{
		&net.DNSError{Err: "no such host", Name: "s3.test", IsNotFound: true}: failure.Usage,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}:                   failure.Transient,
	} {
		f, _ := scripted(t, func(*http.Request) (*http.Response, error) { return nil, cause })
		_, err := f.Open(t.Context(), "bucket/key")
		if failure.Of(err) != class || !strings.Contains(err.Error(), "s3.endpoint") || !strings.Contains(err.Error(), "bucket/key") {
			t.Errorf("%s: %v", failure.Of(err), err)
		}
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	f, err := New(Options{Endpoint: "http://s3.test", HTTP: &script{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open(t.Context(), "bucket/key"); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "s3.access-key") {
		t.Errorf("without credentials: %s: %v", failure.Of(err), err)
	}
	if _, err := New(Options{AccessKey: "key"}); failure.Of(err) != failure.Usage {
		t.Errorf("half of the credentials: %v", err)
	}
}

// A server that takes a request and never answers is asked again after a minute, at
// most as often as any request, and the error says so.
func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		tail := reply(http.StatusPartialContent, "Content-Range: bytes 100000-165535/165536\nETag: \"e\"", strings.Repeat("x", 65536))
		rest := reply(http.StatusPartialContent, "Content-Range: bytes 0-4/165536", "01234")
		f, _ := scripted(t, hang, tail, hang, rest, hang)
		start := time.Now()
		o, err := f.Open(t.Context(), "bucket/key")
		if err != nil || time.Since(start) < time.Minute || time.Since(start) > 2*time.Minute {
			t.Fatal(err, time.Since(start))
		}
		p := make([]byte, 5)
		if n, err := o.ReadAt(p, 0); err != nil || string(p) != "01234" {
			t.Errorf("%d bytes, %v", n, err)
		}
		start = time.Now()
		_, err = o.ReadAt(p, 50)
		if failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "tried 3 times") || time.Since(start) > 4*time.Minute {
			t.Errorf("after %v: %s: %v", time.Since(start), failure.Of(err), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Open(ctx, "bucket/key"); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "tried") {
			t.Errorf("the caller's own limit: %v", err)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
}

// An object that was replaced is never read as a mix of two versions.
func TestReplacedWhileRead(t *testing.T) {
	tail := reply(http.StatusPartialContent, "Content-Range: bytes 90-99/100\nETag: \"e\"", "0123456789")
	f, _ := scripted(t, tail, code(412, "PreconditionFailed"))
	o, err := f.Open(t.Context(), "bucket/key")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ReadAt(make([]byte, 5), 0); failure.Of(err) != failure.Conflict {
		t.Errorf("got %v", err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// A refused condition is a lost race, unless the object is this write's own.
func TestCreateRefused(t *testing.T) {
	f, _ := scripted(t, code(412, "PreconditionFailed"), reply(200, "", ""))
	err := fs.WriteFile(t.Context(), f, "bucket/key", []byte("x"), fs.CreateOptions{IfNotExists: true})
	if !errors.Is(err, fs.ErrExist) || failure.Of(err) != failure.Conflict {
		t.Errorf("got %v", err)
	}
}

func TestSecretAndLinkLocal(t *testing.T) {
	if text := fmt.Sprintf("%v %+v %#v", Options{SecretKey: "hush"}, Options{SecretKey: "hush"}, Options{SecretKey: "hush"}); strings.Contains(text, "hush") {
		t.Error(text)
	}
	for address, allowed := range map[string]bool{
		"169.254.169.254:80": false, "[fe80::1]:80": false, "[fd00:ec2::254]:80": false, "127.0.0.1:80": true, "52.216.0.1:443": true,
	} {
		if err := refuseLinkLocal("tcp", address, nil); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}
