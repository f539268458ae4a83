package cells

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// A record that never ends is refused with its line before it fills the memory.
func TestRecordWithoutEnd(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	file := strings.Repeat("x\n", 10) + strings.Repeat("y", 20*BufferBytes)
	w := NewWindow(formats.Input{Path: "f", ReaderAt: strings.NewReader(file), Size: int64(len(file))}, alloc, 0, int64(len(file)))
	defer w.Release()
	w.most = 4 * BufferBytes
	err := w.Ready()
	w.Pass(20)
	for err == nil {
		err = w.More()
	}
	if want := "f:11: record longer than 4194304 bytes"; err.Error() != want || failure.Of(err) != failure.BadData {
		t.Fatalf("%v, want %s", err, want)
	}
	if len(w.Text) > 8*BufferBytes {
		t.Fatalf("%d bytes were read", len(w.Text))
	}
}

// The beginning of a file is read in growing pieces, until there is enough, or no
// more, or too much.
func TestHead(t *testing.T) {
	file := strings.Repeat("x", 5000)
	for _, c := range []struct{ size, enough, want int64 }{{10, 5, 10}, {10, 100, 640}, {10, 9000, 5000}, {9000, 1, 5000}} {
		got := int64(0)
		err := Head(formats.Input{Path: "f", ReaderAt: strings.NewReader(file), Size: 5000}, memory.DefaultAllocator, c.size, func(text []byte, final bool) (bool, error) {
			if got = int64(len(text)); final != (got == 5000) {
				t.Errorf("%+v: final %v of %d bytes", c, final, got)
			}
			return got < c.enough, nil
		})
		if err != nil || got != c.want {
			t.Errorf("%+v: %d bytes, %v", c, got, err)
		}
	}
	err := Head(formats.Input{Path: "f", ReaderAt: strings.NewReader(file), Size: 6000}, memory.DefaultAllocator, 6000, nil)
	if err == nil || err.Error() != "f: file ends at byte 5000, expected 6000" {
		t.Error(err)
	}
}
