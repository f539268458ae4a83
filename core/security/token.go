package security

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// Token is the secret that clients show. The zero value is none, and matches nothing.
type Token struct {
	text *string // a pointer: fmt shows strings in private fields, but not what they point to
}

// tokenBytes are as many random bytes as a new token has, and minTokenText as few
// characters as one that was made elsewhere may have.
const (
	tokenBytes   = 32
	minTokenText = 16
)

// NewToken makes a token that nobody can guess.
func NewToken() Token {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // it never fails: the program ends first
	text := base64.RawURLEncoding.EncodeToString(b[:])
	return Token{&text}
}

// ParseToken takes a token's text. One that is short, or does not fit a header, is a
// Usage error, which does not repeat it.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	if len(text) < minTokenText {
		return Token{}, failure.Errorf(failure.Usage, "a token has at least %d characters, not %d", minTokenText, len(text))
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Token{}, failure.Errorf(failure.Usage, "a token has printable ASCII characters only, without spaces")
	}
	return Token{&text}, nil
}

// ReadToken reads the token in a file that only its owner may read.
func ReadToken(path string) (Token, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return Token{}, missing(path, err)
	}
	defer func() { _ = root.Close() }()
	text, err := read(root, filepath.Base(path), true)
	if err != nil {
		return Token{}, fmt.Errorf("token: %w", err)
	}
	t, err := ParseToken(string(text))
	if err != nil {
		return Token{}, fmt.Errorf("token in %s: %w", path, err)
	}
	return t, nil
}

// EnsureToken reads the token in a file, or makes one there. Of several processes that
// do so at the same time all get the same one.
func EnsureToken(path string) (Token, error) {
	root, err := makeDir(filepath.Dir(path))
	if err != nil {
		return Token{}, err
	}
	defer func() { _ = root.Close() }()
	err = create(root, filepath.Base(path), []byte(NewToken().Reveal()+"\n"))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return Token{}, fmt.Errorf("make a token in %s: %w", path, err)
	}
	return ReadToken(path)
}

// Save writes the token into a file that only its owner may read, in place of what is
// there.
func (t Token) Save(path string) error {
	root, err := makeDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := replace(root, filepath.Base(path), []byte(t.Reveal()+"\n")); err != nil {
		return fmt.Errorf("save a token in %s: %w", path, err)
	}
	return nil
}

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.text == nil }

// Reveal is the token's text.
func (t Token) Reveal() string {
	if t.IsZero() {
		return ""
	}
	return *t.text
}

// String hides the token.
func (Token) String() string { return hidden }

// Format hides the token under every verb.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the token in JSON and logs.
func (Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }

const hidden = "***"

// Matches reports whether shown is the token, in a time that tells nothing about it.
func (t Token) Matches(shown string) bool {
	a, b := sha256.Sum256([]byte(t.Reveal())), sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && !t.IsZero()
}

// Header is the value of an Authorization header that shows the token.
func (t Token) Header() string { return bearer + t.Reveal() }

// MatchesHeader reports whether an Authorization header shows the token.
func (t Token) MatchesHeader(value string) bool { return t.Matches(Shown(value)) }

// Shown is the text of a token that an Authorization header shows; empty: none.
func Shown(header string) string {
	if len(header) < len(bearer) || !strings.EqualFold(header[:len(bearer)], bearer) {
		return ""
	}
	return strings.TrimSpace(header[len(bearer):])
}

const bearer = "Bearer "
