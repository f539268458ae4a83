package parquet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Texts of every length around what is moved at once arrive as they are, with room
// behind them in either place and without.
func TestCopyPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var src, want []byte
		var ends []int32
		first := r.IntN(70)
		for range r.IntN(12) {
			text := make([]byte, r.IntN(shortText+4))
			for i := range text {
				text[i] = byte(1 + r.IntN(255))
			}
			src = append(binary.LittleEndian.AppendUint32(src, uint32(len(text))), text...)
			want = append(want, text...)
			ends = append(ends, int32(first+len(want)))
		}
		src = append(src, make([]byte, r.IntN(2*shortText))...)
		data := bytes.Repeat([]byte{0xee}, first+len(want)+r.IntN(2)*r.IntN(2*shortText))
		copyPlain(data, src, first, ends)
		if !bytes.Equal(data[first:first+len(want)], want) {
			t.Fatalf("%d texts from %d on: %x, want %x", len(ends), first, data[first:], want)
		}
		if before := bytes.Trim(data[:first], "\xee"); len(before) > 0 {
			t.Fatalf("wrote before the first text: %x", data[:first])
		}
	}
}
