package parquet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// TestHadoopLZ4 reads what files call LZ4: Hadoop's frames, several of them, and
// the bare block of other writers; and refuses both when they are cut.
func TestHadoopLZ4(t *testing.T) {
	var framed, whole []byte
	for _, word := range []string{"abcabcabc", "hello hello hello hello"} {
		part := bytes.Repeat([]byte(word), 40)
		block := compressLZ4(t, part)
		framed = binary.BigEndian.AppendUint32(framed, uint32(len(part)))
		framed = binary.BigEndian.AppendUint32(framed, uint32(len(block)))
		framed = append(framed, block...)
		whole = append(whole, part...)
	}
	d := &decompressor{}
	for name, src := range map[string][]byte{"frames": framed, "block": compressLZ4(t, whole)} {
		dst := make([]byte, len(whole))
		if err := d.decode(hadoopLZ4, dst, src); err != nil || !bytes.Equal(dst, whole) {
			t.Errorf("%s: %v", name, err)
		}
		for n := range src {
			if err := d.decode(hadoopLZ4, dst, src[:n]); err == nil {
				t.Errorf("%s cut at %d of %d bytes was read", name, n, len(src))
			}
		}
	}
}

func compressLZ4(t *testing.T, src []byte) []byte {
	t.Helper()
	out := make([]byte, lz4.CompressBlockBound(len(src)))
	n, err := new(lz4.Compressor).CompressBlock(src, out)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	return out[:n]
}
