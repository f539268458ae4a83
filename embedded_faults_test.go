//go:build storage

package tidemill_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
)

// Jobs on tables in S3 while the server denies, is busy, or breaks connections off:
// between the engine and the real server stands one that does.

// fault is what becomes of a request; nothing where it returns false.
type fault func(w http.ResponseWriter, forward func()) (handled bool)

func denied(w http.ResponseWriter, _ func()) bool {
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte("<Error><Code>AccessDenied</Code><Message>because</Message></Error>"))
	return true
}

func busy(w http.ResponseWriter, _ func()) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte("<Error><Code>SlowDown</Code><Message>because</Message></Error>"))
	return true
}

// reset ends the connection without an answer.
func reset(http.ResponseWriter, func()) bool { panic(http.ErrAbortHandler) }

// cut lets half of the answer's body through.
func cut(w http.ResponseWriter, forward func()) bool {
	answer := httptest.NewRecorder()
	w.(*through).ResponseWriter, w = answer, w.(*through).ResponseWriter
	forward()
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// through is a response writer that can be replaced.
type through struct{ http.ResponseWriter }

func (t *through) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// A requestKind is what a request asks for.
func requestKind(r *http.Request) string {
	switch {
	case r.Method == http.MethodGet && (r.URL.Query().Has("list-type") || strings.Count(r.URL.Path, "/") < 3):
		return "list"
	case r.Method == http.MethodGet && r.URL.Query().Has("uploads"):
		return "uploads"
	case r.Method == http.MethodPost:
		return "post"
	}
	return strings.ToLower(r.Method)
}

// openFaulty opens an engine behind a proxy that asks at for the fault of each
// request.
func openFaulty(t *testing.T, at func(kind string) fault) *engine {
	t.Helper()
	server, err := url.Parse(storageEnv(t, "TIDEMILL_S3_ENDPOINT"))
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(server)
		r.Out.Host = r.In.Host // it is signed
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := &through{w}
		if f := at(requestKind(r)); f != nil && f(to, func() { forward.ServeHTTP(to, r) }) {
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("TIDEMILL_S3_ENDPOINT", proxy.URL)
	return openS3(t, storageEnv(t, "TIDEMILL_S3_SECRET_KEY"))
}

const faultyTable = `
	CREATE TABLE gen (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '200000', 'rows-per-second' = '0', 'fields.n.kind' = 'sequence');
	CREATE TABLE src (n BIGINT, s STRING) WITH ('connector' = 'filesystem', 'path' = '${dir}/src', 'format' = 'parquet');
	INSERT INTO src SELECT n, CAST(n * 7919 AS STRING) FROM gen`

func TestStorageFaults(t *testing.T) {
	for _, c := range []struct {
		kind  string // of request
		after int32  // such requests of the job that are served before
		times int32  // such requests that meet the fault
		fault fault
		class failure.Class // of the job; zero: it is right
	}{
		{"list", 0, 1 << 30, denied, failure.Unauthorized},
		{"get", 0, 1 << 30, denied, failure.Unauthorized},
		{"get", 1, 1 << 30, denied, failure.Unauthorized},
		{"put", 0, 1 << 30, denied, failure.Unauthorized},
		{"put", 1, 1 << 30, denied, failure.Unauthorized},
		{"list", 0, 2, busy, 0},
		{"get", 1, 2, busy, 0},
		{"put", 1, 2, busy, 0},
		{"get", 0, 1 << 30, busy, failure.Transient},
		{"put", 1, 1 << 30, busy, failure.Transient},
		{"list", 0, 1, reset, 0},
		{"get", 1, 2, reset, 0},
		{"put", 1, 1, reset, 0},
		{"get", 0, 1, cut, 0},
		{"get", 1, 2, cut, 0},
		{"get", 1, 1 << 30, cut, failure.Transient},
	} {
		name := fmt.Sprintf("%s %d+%d %v", c.kind, c.after, c.times, c.class)
		t.Run(name, func(t *testing.T) {
			var armed atomic.Bool
			var asked atomic.Int32
			e := openFaulty(t, func(kind string) fault {
				if !armed.Load() || kind != c.kind {
					return nil
				}
				if n := asked.Add(1); n <= c.after || n-c.after > c.times {
					return nil
				}
				return c.fault
			})
			if _, err := e.execute(faultyTable); err != nil {
				t.Fatal(err)
			}
			e.expect(`
				CREATE TABLE dst (n BIGINT, c BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/dst', 'format' = 'parquet');
				INSERT INTO dst VALUES (1, 1); SELECT * FROM dst`, "1 1")
			armed.Store(true)
			_, err := e.execute("INSERT OVERWRITE dst SELECT n, CHAR_LENGTH(s) FROM src WHERE n >= 100000")
			armed.Store(false)
			if asked.Load() <= c.after {
				t.Fatalf("asked %d times", asked.Load())
			}
			if c.class == 0 {
				if err != nil {
					t.Fatal(err)
				}
				e.expect("SELECT COUNT(*), SUM(n), MAX(c) FROM dst", "100000 14999950000 10")
			} else {
				if err == nil || failure.Of(err) != c.class || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "/src") && !strings.Contains(err.Error(), "/dst") {
					t.Fatalf("%s: %v", failure.Of(err), err)
				}
				e.expect("SELECT * FROM dst", "1 1")
			}
			leftovers(t, newS3(t), e.dir)
		})
	}
}
