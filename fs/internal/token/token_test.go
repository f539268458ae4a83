package token

import (
	"errors"
	"testing"

	"github.com/tidemill/tidemill/fs"
)

// A token written by any released version must stay readable: checkpoints hold them.
func TestGolden(t *testing.T) {
	want := Token{Kind: Publish, Length: 258, Path: "/t/x", Staged: "/t/.tm-1"}
	golden := "\x01\x02\x02\x01\x00\x00\x00\x00\x00\x00\x04/t/x\x08/t/.tm-1"
	b := want.Encode()
	if string(b[:len(b)-4]) != golden {
		t.Fatalf("encoded as %q", b)
	}
	if got, err := DecodeKind(b, Publish); err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := DecodeKind(b, Resume); !errors.Is(err, fs.ErrToken) {
		t.Fatalf("a token of the wrong kind: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Token{Kind: Resume, Path: "a", Staged: "b"}.Encode())
	f.Add([]byte("\x01\x02\x02\x01\x00\x00\x00\x00\x00\x00\x04/t/x\x08/t/.tm-1\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := Decode(b)
		if err != nil {
			if !errors.Is(err, fs.ErrToken) {
				t.Fatalf("unnamed error %v", err)
			}
			return
		}
		if again, err := Decode(tok.Encode()); err != nil || again != tok {
			t.Fatalf("%+v read back as %+v, %v", tok, again, err)
		}
	})
}
