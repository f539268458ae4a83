package keyfilter

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/tidemill/tidemill/core/failure"
)

// MostEncoded is the largest part, in bytes, that is sent to other processes: a filter
// with a larger one works in no process that lacks it.
const MostEncoded = 4 << 20

// Part is one of so many parts of a filter, encoded for other processes.
type Part struct {
	ID          uint32
	Index, Of   int
	EncodedKeys []byte
}

// form is how the keys of a part are laid out.
type form byte

const (
	formInvalid form = iota
	formNone         // of keys: there are no rows
	formGaps         // uvarints: how many follow; from one value to the next, the first from the base
	formWords        // of the bitmap, little-endian
	formHashes       // little-endian
)

func (f form) String() string {
	if int(f) >= len(formNames) {
		return fmt.Sprintf("form(%d)", byte(f))
	}
	return formNames[f]
}

var formNames = [...]string{"invalid", "none", "gaps", "words", "hashes"}

// encode writes the keys of a part, not of a filter that is complete; nil: they are
// too large.
//
//	form | integer 0 or 1 | uvarint rows | varint least, varint most (integers only) | keys
func (k *Keys) encode() []byte {
	out := []byte{byte(k.form()), 0}
	if k.integer {
		out[1] = 1
	}
	out = binary.AppendUvarint(out, uint64(k.rows))
	if k.integer {
		out = binary.AppendVarint(binary.AppendVarint(out, k.bounds.least), k.bounds.most)
	}
	switch k.form() {
	case formGaps:
		out = binary.AppendUvarint(out, uint64(k.bits.count()))
		last := k.bits.base
		for _, v := range k.bits.values(nil) {
			out, last = binary.AppendUvarint(out, uint64(v-last)), v
		}
	case formWords:
		out = appendWords(out, k.bits.words)
	case formHashes:
		out = appendWords(out, k.hashes)
	}
	if len(out) > MostEncoded {
		return nil
	}
	return out
}

// form is the smaller one: most gaps take two bytes at most, or the words less.
func (k *Keys) form() form {
	switch {
	case k.bits == nil && k.hashes == nil:
		return formNone
	case k.bits == nil:
		return formHashes
	case len(k.bits.words)*64 <= smallSpan && 2*k.bits.count() < 8*len(k.bits.words):
		return formGaps
	}
	return formWords
}

func (m *bitmap) count() (n int) {
	for _, w := range m.words {
		n += bits.OnesCount64(w)
	}
	return n
}

func appendWords(out []byte, words []uint64) []byte {
	out = slices.Grow(out, 8*len(words))
	for _, w := range words {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// decode reads what encode wrote. Bytes that it cannot have written are an error; no
// more memory is taken than a small bitmap's or the bytes' own.
func decode(data []byte) (*Keys, error) {
	bad := func() (*Keys, error) { return nil, failure.Errorf(failure.Internal, "keys of a filter are damaged") }
	if len(data) < 3 || len(data) > MostEncoded || data[1] > 1 {
		return bad()
	}
	k := &Keys{integer: data[1] == 1, bounds: noBounds()}
	rest := decoder{left: data[2:]}
	rows := rest.uvarint()
	if k.rows = int(rows); k.integer {
		k.bounds = bounds{rest.varint(), rest.varint()}
	}
	if rest.bad || rows > maxRows {
		return bad()
	}
	ok := false
	switch form(data[0]) {
	case formNone:
		ok = rows == 0 && len(rest.left) == 0
	case formGaps:
		ok = k.integer && rest.gaps(k)
	case formWords:
		k.bits = &bitmap{base: k.bounds.least &^ 63, words: rest.words()}
		ok = k.integer && rows > 0 && k.bounds.least <= k.bounds.most &&
			(uint64(k.bounds.most)-uint64(k.bits.base))>>6+1 == uint64(len(k.bits.words))
	case formHashes:
		k.hashes = rest.words()
		ok = rows == uint64(len(k.hashes))
	}
	if !ok || rest.bad {
		return bad()
	}
	return k, nil
}

// maxRows is beyond what any part has.
const maxRows = 1 << 40

// decoder reads bytes from the front; bad is set where they end too early.
type decoder struct {
	left []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.left)
	d.skip(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.left)
	d.skip(n)
	return v
}

func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, d.left = true, nil
		return
	}
	d.left = d.left[n:]
}

// gaps makes the bitmap of what is left, which must lie within the bounds.
func (d *decoder) gaps(k *Keys) bool {
	base := k.bounds.least &^ 63
	if k.bounds.least > k.bounds.most || uint64(k.bounds.most)-uint64(base) >= smallSpan {
		return false
	}
	if k.bits = newBitmap(k.bounds, k.rows); k.bits == nil {
		return false
	}
	at, span := uint64(0), uint64(k.bounds.most)-uint64(base)
	count := d.uvarint()
	for ; count > 0 && len(d.left) > 0; count-- {
		gap := d.uvarint()
		if gap > span-at {
			return false
		}
		at += gap
		k.bits.words[at>>6] |= 1 << (at & 63)
	}
	return count == 0 && len(d.left) == 0
}

func (d *decoder) words() []uint64 {
	if len(d.left)%8 != 0 {
		d.bad = true
		return nil
	}
	out := make([]uint64, len(d.left)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(d.left[8*i:])
	}
	d.left = nil
	return out
}
