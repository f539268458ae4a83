package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"
)

// The versions of encoded manifests. A reader knows all of them.
const (
	version1       = 1
	currentVersion = version1
)

const (
	magic       = "TMCP"
	headerBytes = 16
)

// ErrCorrupt is what errors about damaged checkpoint data wrap.
var ErrCorrupt = errors.New("corrupt checkpoint data")

// Checksum is the CRC-32C that manifests and handles carry.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// EachHandle visits what a manifest names in files, to be changed in place.
func EachHandle(m *Manifest, visit func(*Handle)) {
	for _, v := range m.Vertices {
		for _, s := range v.Subtasks {
			for _, o := range s.Operators {
				for _, h := range o.Handles {
					visit(h)
				}
			}
			for _, f := range s.InFlight {
				for _, h := range f.Blocks {
					visit(h)
				}
			}
		}
	}
}

// Bytes is how much a restore reads of what a manifest names, and of it itself.
func Bytes(m *Manifest) uint64 {
	n := uint64(proto.Size(m))
	EachHandle(m, func(h *Handle) { n += uint64(h.Length) })
	return n
}

// Encode returns the manifest's bytes as they lie in a file.
func Encode(m *Manifest) ([]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest of checkpoint %d: %w", m.Checkpoint, err)
	}
	out := make([]byte, headerBytes, headerBytes+len(body))
	copy(out, magic)
	binary.LittleEndian.PutUint32(out[4:], currentVersion)
	binary.LittleEndian.PutUint32(out[8:], uint32(len(body)))
	binary.LittleEndian.PutUint32(out[12:], Checksum(body))
	return append(out, body...), nil
}

// Decode reads what Encode wrote, of any version. Damage is ErrCorrupt.
func Decode(b []byte) (*Manifest, error) {
	if len(b) < headerBytes || string(b[:4]) != magic {
		return nil, fmt.Errorf("%w: not a manifest", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v != version1 {
		return nil, fmt.Errorf("manifest of version %d: this program reads up to version %d", v, currentVersion)
	}
	body := b[headerBytes:]
	if n := binary.LittleEndian.Uint32(b[8:]); int(n) != len(body) {
		return nil, fmt.Errorf("%w: manifest of %d bytes says %d", ErrCorrupt, len(body), n)
	}
	if binary.LittleEndian.Uint32(b[12:]) != Checksum(body) {
		return nil, fmt.Errorf("%w: checksum of manifest differs", ErrCorrupt)
	}
	m := &Manifest{}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return m, nil
}
