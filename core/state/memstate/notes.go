package memstate

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/tidemill/tidemill/core/stream"
)

const (
	// noteBytes is how large a note gets.
	noteBytes = 16 << 10
	// notesAtOnce is how many are read together.
	notesAtOnce = 64
)

// noteMark stands in the key of a note where a record's key has whether its first column is
// there.
const noteMark = 0xFF

// notes say in the store which records the next snapshot of changes holds. Each lies beside
// those that it names, so that what is written together is in one place.
type notes struct {
	cold  *cold
	tier  *tier
	first []byte // key of the first that is named
	names []byte // length, hash and key columns of each
}

// noting begins notes about records that are written.
func (c *cold) noting(t *tier) *notes { return &notes{cold: c, tier: t} }

// add names a record by its key. Keys ascend.
func (n *notes) add(key []byte, change Changes) error {
	if len(n.names) == 0 {
		n.first = append(n.first[:0], key[:hashPrefix]...)
	}
	n.names = append(binary.AppendUvarint(n.names, uint64(len(key)-spacePrefix)), key[spacePrefix:]...)
	if len(n.names) < noteBytes {
		return nil
	}
	return n.write(change)
}

// write writes what is not written yet.
func (n *notes) write(change Changes) error {
	if len(n.names) == 0 {
		return nil
	}
	n.tier.notes++
	key := binary.BigEndian.AppendUint64(append(slices.Clone(n.first), noteMark), n.tier.notes)
	if err := change.Set(key, n.names); err != nil {
		return err
	}
	n.cold.notes = append(n.cold.notes, key)
	n.names = n.names[:0]
	return nil
}

// isNote reports whether a key in the store is that of a note.
func isNote(key []byte) bool { return len(key) > hashPrefix && key[hashPrefix] == noteMark }

// readNotes hands out the keys of the records that notes name, each once and ascending.
func (a *away) readNotes(s awaySpace, do func(key []byte) error) error {
	slices.SortFunc(s.notes, bytes.Compare)
	var named [][]byte
	enough := stream.TargetRows
	give := func(below []byte) error {
		slices.SortFunc(named, bytes.Compare)
		named = slices.CompactFunc(named, bytes.Equal)
		n := len(named)
		if below != nil {
			n, _ = slices.BinarySearchFunc(named, below, bytes.Compare)
		}
		for _, key := range named[:n] {
			if err := do(key); err != nil {
				return err
			}
		}
		named = slices.Delete(named, 0, n)
		enough = max(stream.TargetRows, 2*len(named))
		return nil
	}
	prefix := appendSpace(nil, s.table.spec.ID, s.ns)
	for some := range slices.Chunk(s.notes, notesAtOnce) {
		err := a.frozen.Get(some, func(i int, note []byte) (err error) {
			if len(named) >= enough { // what is to come is no less than this note's key
				if err := give(some[i][:hashPrefix]); err != nil {
					return err
				}
			}
			named, err = s.names(named, prefix, note)
			return err
		})
		if err != nil {
			return err
		}
	}
	return give(nil)
}

// names appends the keys that a note names.
func (s awaySpace) names(keys [][]byte, prefix, note []byte) ([][]byte, error) {
	for len(note) > 0 {
		n, used := binary.Uvarint(note)
		if used <= 0 || n > uint64(len(note)-used) || n < hashPrefix-spacePrefix {
			return nil, (&chunk{table: s.table}).damaged()
		}
		keys = append(keys, slices.Concat(prefix, note[used:used+int(n)]))
		note = note[used+int(n):]
	}
	return keys, nil
}
