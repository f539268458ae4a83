package security

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
)

// A token is one secret of its owner, which is shown to nobody by accident.

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "token")
	if _, err := ReadToken(path); failure.Of(err) != failure.NotFound {
		t.Fatalf("before there is one: %v", err)
	}
	tokens := make([]Token, 8)
	var wait sync.WaitGroup
	for i := range tokens {
		wait.Go(func() { tokens[i], _ = EnsureToken(path) })
	}
	wait.Wait()
	for _, got := range tokens {
		if got.IsZero() || got.Reveal() != tokens[0].Reveal() {
			t.Fatal("processes that start together have different tokens")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Fatalf("files are left: %v", left)
	}
	other := NewToken()
	if err := other.Save(path); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadToken(path); err != nil || !got.Matches(other.Reveal()) {
		t.Fatalf("saved: %v", err)
	}
	refused := []struct {
		what  string
		class failure.Class
		says  string
		make  func() error
	}{
		{"others may read it", failure.Unauthorized, "chmod 600", func() error { return os.Chmod(path, 0o640) }},
		{"it is empty", failure.Usage, "at least 16 characters", func() error { return rewrite(path, "") }},
		{"it is short", failure.Usage, "at least 16 characters", func() error { return rewrite(path, "hunter2hunter2") }},
		{"it is two", failure.Usage, "printable", func() error { return rewrite(path, tokens[0].Reveal()+"\n"+tokens[0].Reveal()) }},
		{"it is huge", failure.Usage, "more than", func() error { return rewrite(path, strings.Repeat("x", maxFileBytes+1)) }},
		{"it is a directory", failure.Usage, "not a file", func() error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}},
		{"it leads elsewhere", failure.Fatal, "escapes", func() error {
			return errors.Join(os.Remove(path), os.Symlink("/etc/hostname", path))
		}},
	}
	for _, r := range refused {
		if err := r.make(); err != nil {
			t.Fatal(err)
		}
		for _, open := range []func(string) (Token, error){ReadToken, EnsureToken} {
			if got, err := open(path); failure.Of(err) != r.class || !strings.Contains(err.Error(), r.says) || !got.IsZero() || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v (%v)", r.what, err, failure.Of(err))
			}
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := rewrite(file, "x"); err != nil {
		t.Fatal(err)
	}
	if err := other.Save(filepath.Join(file, "token")); err == nil {
		t.Error("a token saved in a file's directory")
	}
	if _, err := EnsureToken(filepath.Join(file, "token")); err == nil {
		t.Error("a token in a file's directory")
	}
}

func rewrite(path, text string) error {
	_ = os.Remove(path)
	return os.WriteFile(path, []byte(text), 0o600)
}

func TestTokenMatches(t *testing.T) {
	a, b := NewToken(), NewToken()
	if !a.Matches(a.Reveal()) || a.Matches(b.Reveal()) || a.Matches("") || a.Matches(a.Reveal()+"x") || (Token{}).Matches("") {
		t.Error("matches")
	}
	for value, want := range map[string]bool{
		a.Header(): true, "bearer " + a.Reveal(): true, "Bearer  " + a.Reveal(): true,
		a.Reveal(): false, "Basic " + a.Reveal(): false, "Bearer": false, "Bearer ": false, "": false,
	} {
		if a.MatchesHeader(value) != want {
			t.Errorf("header of %d characters: %t", len(value), !want)
		}
	}
	if (Token{}).MatchesHeader((Token{}).Header()) {
		t.Error("no token matches no token")
	}
	if _, err := ParseToken("0123456789abcdeé"); failure.Of(err) != failure.Usage {
		t.Error(err)
	}
}

func TestTokenIsHidden(t *testing.T) {
	token := NewToken()
	nested := struct {
		Public  Token
		private Token
		Pointer *Token
	}{token, token, &token}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token, "nested", nested)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", token, "nested", nested)
	encoded, err := json.Marshal(nested)
	shown := log.String() + string(encoded) + nested.private.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %p"} {
		shown += fmt.Sprintf(verb, token) + fmt.Sprintf(verb, nested) + fmt.Sprintf(verb, &nested) + fmt.Sprintf(verb, []Token{token})
	}
	hex := fmt.Sprintf("%x", token.Reveal())
	if err != nil || strings.Contains(shown, token.Reveal()) || strings.Contains(shown, hex) || !strings.Contains(shown, hidden) {
		t.Errorf("%v: %s", err, shown)
	}
}
