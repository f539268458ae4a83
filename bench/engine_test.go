package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func alone() []int { return nil }

func TestServeAnswersEachRequest(t *testing.T) {
	in := strings.NewReader(`{"sql":"good"}` + "\n" + `{"sql":"bad"}` + "\n")
	var out bytes.Buffer
	err := Serve(t.Context(), in, &out, alone, func(_ context.Context, q Request) (Reply, error) {
		if q.SQL == "bad" {
			return Reply{}, errors.New("refused")
		}
		return Reply{CSV: "a\n1\n"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	replies := json.NewDecoder(&out)
	for _, want := range []Reply{{CSV: "a\n1\n"}, {Error: "refused"}} {
		var got Reply
		if err := replies.Decode(&got); err != nil || got.CSV != want.CSV || got.Error != want.Error {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestServeReportsBrokenPipes(t *testing.T) {
	run := func(context.Context, Request) (Reply, error) { return Reply{}, nil }
	if err := Serve(t.Context(), strings.NewReader("{"), io.Discard, alone, run); err == nil {
		t.Error("half a request was taken")
	}
	if err := Serve(t.Context(), strings.NewReader("{}"), broken{}, alone, run); err == nil {
		t.Error("a lost reply was not reported")
	}
}

func shell(t *testing.T, text string) (*engine, error) {
	t.Helper()
	return start(t.Context(), "sh", []string{"sh", "-c", text}, 0, nil)
}

func TestEngineIsAsked(t *testing.T) {
	e, err := shell(t, `read q; echo '{"version":"7"}'; read q; echo '{"csv":"a","wall":2}'; read q; echo '{"error":"why"}'; read q; :`)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.ask(Request{SQL: "x"}); err != nil || e.version != "7" || r.CSV != "a" || r.WallMillis != 2 {
		t.Errorf("got %+v, %v of version %s", r, err, e.version)
	}
	if _, err := e.ask(Request{SQL: "x"}); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("the engine's error is lost: %v", err)
	}
	if err := e.close(); err != nil {
		t.Error(err)
	}
}

func TestEngineThatDies(t *testing.T) {
	if _, err := shell(t, "echo no memory >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "no memory") {
		t.Errorf("its last words are lost: %v", err)
	}
	if _, err := shell(t, "read q; echo nonsense"); err == nil || !strings.Contains(err.Error(), "read the reply") {
		t.Errorf("got %v", err)
	}
	if _, err := start(t.Context(), "x", []string{"/nowhere/x"}, 0, nil); err == nil {
		t.Error("started what is not there")
	}
}

// Ours runs on as many CPUs as it has slots, as a peer does on its threads.
func TestCPUsOfAnEngine(t *testing.T) {
	e, err := start(t.Context(), "sh", []string{"sh", "-c", `read q; echo "{\"version\":\"$GOMAXPROCS\"}"; read q`}, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if e.version != "3" {
		t.Errorf("GOMAXPROCS is %q, want 3", e.version)
	}
}
