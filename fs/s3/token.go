package s3

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/tidemill/tidemill/fs"
)

// tokenVersion is the version of tokens that is written:
//
//	version(1) kind(1) JSON of token  crc32c(4 LE)
const tokenVersion = 1

// The kinds of tokens. They are persisted.
const (
	kindInvalid byte = iota // in decodeToken: any kind
	kindResume
	kindPublish
)

// token says what an upload held.
type token struct {
	Path   string
	Write  string
	Upload string
	Parts  []part `json:",omitempty"`
	Tail   string `json:",omitempty"` // object with the bytes after the parts
	Tails  bool   `json:",omitempty"` // such objects have been written
}

func (t token) encode(kind byte) ([]byte, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode token: %w", err)
	}
	b := append([]byte{tokenVersion, kind}, body...)
	return binary.LittleEndian.AppendUint32(b, checksum(b)), nil
}

// decodeToken reads a token that must be of one kind.
func decodeToken(b []byte, kind byte) (token, error) {
	const head, tail = 2, 4
	var t token
	if len(b) < head+tail || checksum(b[:len(b)-tail]) != binary.LittleEndian.Uint32(b[len(b)-tail:]) {
		return t, fmt.Errorf("%w: checksum", fs.ErrToken)
	}
	if b[0] != tokenVersion {
		return t, fmt.Errorf("%w: version %d", fs.ErrToken, b[0])
	}
	if got := b[1]; got == kindInvalid || got > kindPublish || kind != kindInvalid && got != kind {
		return t, fmt.Errorf("%w: a token of kind %d where %d is needed", fs.ErrToken, got, kind)
	}
	if err := json.Unmarshal(b[head:len(b)-tail], &t); err != nil {
		return t, fmt.Errorf("%w: %w", fs.ErrToken, err)
	}
	if t.Upload == "" || t.Write == "" {
		return t, fmt.Errorf("%w: names no upload", fs.ErrToken)
	}
	for i, p := range t.Parts {
		if p.Number != int32(i+1) {
			return t, fmt.Errorf("%w: part %d in place %d", fs.ErrToken, p.Number, i+1)
		}
	}
	return t, nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
