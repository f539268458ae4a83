package cells

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

const (
	// BufferBytes is how much text a Window holds, unless a record needs more.
	BufferBytes = 1 << 20
	// LowWater is when it is filled up again before a batch is split.
	LowWater = BufferBytes / 2
	// MaxRecordBytes bounds one record, so that a quote that is never closed
	// does not make a reader hold the rest of the file.
	MaxRecordBytes = 512 << 20
)

// Window is a piece of a text file that moves over it front to back.
type Window struct {
	// Text is what was read and not passed yet.
	Text []byte
	// Bytes counts what was read.
	Bytes  int64
	in     formats.Input
	alloc  memory.Allocator
	buffer *memory.Buffer
	offset int64 // of Text[0]
	next   int64 // of the first byte not read yet
	end    int64
	most   int // bytes of a record
	// lines line breaks stand before counted, a place in the file that was asked for before.
	lines   int
	counted int64
}

// NewWindow is a window over the bytes [from, end) of a file.
func NewWindow(in formats.Input, alloc memory.Allocator, from, end int64) *Window {
	return &Window{in: in, alloc: alloc, buffer: memory.NewResizableBuffer(alloc), offset: from, next: from, end: end, most: MaxRecordBytes}
}

// SpanOf returns the bytes of a span of a file whose rows begin at start.
func SpanOf(in formats.Input, span formats.Span, start int64) (from, end int64, err error) {
	if span.Whole() {
		return start, in.Size, nil
	}
	if span.First < 0 || span.End > in.Size || span.First > span.End {
		return 0, 0, failure.Errorf(failure.BadData, "%s: no bytes %d to %d: the file has %d; it changed since it was planned",
			in.Path, span.First, span.End, in.Size)
	}
	return max(span.First, start), max(span.End, start), nil
}

// Final reports whether Text reaches to the end.
func (w *Window) Final() bool { return w.next == w.end }

// Ready makes sure that a good deal of text is there, unless the end is near.
func (w *Window) Ready() error {
	if len(w.Text) < LowWater && !w.Final() {
		return w.fill(BufferBytes)
	}
	return nil
}

// More doubles Text, for a record that does not fit, up to the limit.
func (w *Window) More() error {
	if len(w.Text) >= w.most {
		return failure.Errorf(failure.BadData, "%s: record longer than %d bytes", w.Place(0), w.most)
	}
	return w.fill(2 * len(w.Text))
}

// Pass drops the first n bytes of Text.
func (w *Window) Pass(n int) {
	if w.counted >= w.offset && w.counted < w.offset+int64(n) && w.counted > 0 {
		w.count(w.offset + int64(n))
	}
	w.Text = w.Text[n:]
	w.offset += int64(n)
}

// Place is file:line of Text[at]. Counting lines costs a pass over the file up to there, so
// only errors ask for it; places behind the last one that was asked for cost what lies between.
func (w *Window) Place(at int) string {
	target := w.offset + int64(at)
	if target < w.counted {
		w.lines, w.counted = 0, 0
	}
	w.count(target)
	return fmt.Sprintf("%s:%d", w.in.Path, w.lines+1)
}

// count counts line breaks up to target, which is not behind Text. What cannot be read again
// is left out: who asks has an error to tell.
func (w *Window) count(target int64) {
	if behind := min(target, w.offset); w.counted < behind {
		chunk := make([]byte, min(behind-w.counted, 256<<10))
		for w.counted < behind {
			n, err := w.in.ReadAt(chunk[:min(int64(len(chunk)), behind-w.counted)], w.counted)
			w.lines += bytes.Count(chunk[:n], []byte{'\n'})
			w.counted += int64(n)
			if err != nil {
				w.counted = behind
			}
		}
	}
	if w.counted < target {
		w.lines += bytes.Count(w.Text[w.counted-w.offset:target-w.offset], []byte{'\n'})
		w.counted = target
	}
}

// Release frees the buffer.
func (w *Window) Release() {
	w.buffer.Release()
	w.Text = nil
}

// fill brings Text to size bytes, or to the end.
func (w *Window) fill(size int) error {
	kept := len(w.Text)
	want := int(min(int64(size), int64(kept)+w.end-w.next))
	if want > w.buffer.Cap() {
		bigger := memory.NewResizableBuffer(w.alloc)
		bigger.Resize(want)
		copy(bigger.Bytes(), w.Text)
		w.buffer.Release()
		w.buffer = bigger
	} else {
		w.buffer.ResizeNoShrink(max(want, w.buffer.Len()))
		copy(w.buffer.Bytes(), w.Text)
	}
	w.Text = w.buffer.Bytes()[:want]
	n, err := w.in.ReadAt(w.Text[kept:], w.next)
	if n < want-kept {
		return ReadError(w.in, w.next+int64(n), err)
	}
	w.next += int64(n)
	w.Bytes += int64(n)
	return nil
}

// Head shows take the beginning of a file, of which it keeps nothing: size bytes, and
// eight times as many each time that take says it needs more. final says that
// they are the whole file.
func Head(in formats.Input, alloc memory.Allocator, size int64, take func(text []byte, final bool) (more bool, err error)) error {
	for {
		b := memory.NewResizableBuffer(alloc)
		b.Resize(int(min(size, in.Size)))
		more, err := takeHead(in, b.Bytes(), take)
		b.Release()
		if err != nil || !more {
			return err
		}
		if size >= MaxRecordBytes {
			return failure.Errorf(failure.BadData, "%s:1: record longer than %d bytes", in.Path, MaxRecordBytes)
		}
		size = min(8*size, MaxRecordBytes)
	}
}

func takeHead(in formats.Input, text []byte, take func(text []byte, final bool) (more bool, err error)) (more bool, err error) {
	if n, err := in.ReadAt(text, 0); n < len(text) {
		return false, ReadError(in, int64(n), err)
	}
	final := int64(len(text)) == in.Size
	more, err = take(text, final)
	return more && !final, err
}

// ReadError describes a failed or short read at an offset.
func ReadError(in formats.Input, at int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return failure.Errorf(failure.BadData, "%s: file ends at byte %d, expected %d", in.Path, at, in.Size)
	}
	return fmt.Errorf("read %s at byte %d: %w", in.Path, at, err)
}
