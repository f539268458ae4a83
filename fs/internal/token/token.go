package token

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/tidemill/tidemill/fs"
)

// Kind tells tokens of Persist and of Seal apart.
type Kind byte

// The kinds of tokens.
const (
	Invalid Kind = iota
	Resume
	Publish
)

func (k Kind) String() string {
	switch k {
	case Resume:
		return "resume"
	case Publish:
		return "publish"
	}
	return "invalid"
}

// Version is the version of the encoding written.
const Version = 1

// Token says that the first Length bytes of Staged are to become Path.
type Token struct {
	Kind   Kind
	Length int64
	Path   string
	Staged string
}

// Encode returns the token as bytes.
func (t Token) Encode() []byte {
	b := []byte{Version, byte(t.Kind)}
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Length))
	for _, s := range []string{t.Path, t.Staged} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// Decode reads a token; anything else than what Encode wrote is fs.ErrToken.
func Decode(b []byte) (Token, error) {
	const head, tail = 10, 4
	if len(b) < head+tail || checksum(b[:len(b)-tail]) != binary.LittleEndian.Uint32(b[len(b)-tail:]) {
		return Token{}, fmt.Errorf("%w: checksum", fs.ErrToken)
	}
	if b[0] != Version {
		return Token{}, fmt.Errorf("%w: version %d", fs.ErrToken, b[0])
	}
	t := Token{Kind: Kind(b[1]), Length: int64(binary.LittleEndian.Uint64(b[2:]))}
	rest := b[head : len(b)-tail]
	for _, s := range []*string{&t.Path, &t.Staged} {
		n, w := binary.Uvarint(rest)
		if w <= 0 || n > uint64(len(rest)-w) {
			return Token{}, fmt.Errorf("%w: truncated", fs.ErrToken)
		}
		*s, rest = string(rest[w:w+int(n)]), rest[w+int(n):]
	}
	if len(rest) != 0 || t.Length < 0 || t.Kind.String() == "invalid" {
		return Token{}, fmt.Errorf("%w: malformed", fs.ErrToken)
	}
	return t, nil
}

// DecodeKind reads a token that must be of one kind.
func DecodeKind(b []byte, want Kind) (Token, error) {
	t, err := Decode(b)
	if err == nil && t.Kind != want {
		err = fmt.Errorf("%w: a %s token where a %s token is needed", fs.ErrToken, t.Kind, want)
	}
	return t, err
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
