package cells

import (
	"encoding/base64"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// strings copies text. Only escaped cells are looked into.
func (c *Converter) strings(data []byte, cells []Cell) (arrow.Array, error) {
	size := 0
	for _, cell := range cells {
		size += int(cell.End - cell.Start) // unescaping never makes text longer
	}
	b, err := c.newBytes(len(cells), size)
	if err != nil {
		return nil, err
	}
	defer b.release()
	at := 0
	for i, cell := range cells {
		switch cell.Kind {
		case Null:
			if err := c.missing(&b.validity, i); err != nil {
				return nil, err
			}
		case Escaped:
			text, err := c.text(data, cell)
			if err != nil {
				if err := c.bad(&b.validity, i, data[cell.Start:cell.End]); err != nil {
					return nil, err
				}
				break
			}
			at += copy(b.bytes[at:], text)
		default:
			at += copyShort(b.bytes[at:], data[cell.Start:], int(cell.End-cell.Start))
		}
		b.offsets[i+1] = int32(at)
	}
	return b.finish(c.Type.Arrow()), nil
}

// copyShort copies n bytes. Up to 16 it copies as many, if there is room: what
// comes next is written later, and a call would cost more.
func copyShort(dst, src []byte, n int) int {
	if n > 16 || len(dst) < 16 || len(src) < 16 {
		return copy(dst, src[:n])
	}
	*(*[16]byte)(dst) = [16]byte(src)
	return n
}

// binaries decodes base64.
func (c *Converter) binaries(data []byte, cells []Cell) (arrow.Array, error) {
	size := 0
	for _, cell := range cells {
		size += base64.StdEncoding.DecodedLen(int(cell.End - cell.Start))
	}
	b, err := c.newBytes(len(cells), size)
	if err != nil {
		return nil, err
	}
	defer b.release()
	at := 0
	for i, cell := range cells {
		if cell.Kind == Null {
			if err := c.missing(&b.validity, i); err != nil {
				return nil, err
			}
		} else {
			text, err := c.text(data, cell)
			if err != nil {
				if err := c.broken(&b.validity, data, i, cell, err); err != nil {
					return nil, err
				}
				text = nil
			}
			n, err := base64.StdEncoding.Decode(b.bytes[at:], text)
			if err != nil {
				n = 0
				if err := c.bad(&b.validity, i, text); err != nil {
					return nil, err
				}
			}
			at += n
		}
		b.offsets[i+1] = int32(at)
	}
	return b.finish(c.Type.Arrow()), nil
}

// byteBuffers are those of a string or binary array in the making.
type byteBuffers struct {
	validity
	offsetsBuffer, bytesBuffer *memory.Buffer
	offsets                    []int32
	bytes                      []byte
}

func (c *Converter) newBytes(n, size int) (*byteBuffers, error) {
	if size > math.MaxInt32 {
		return nil, fmt.Errorf("text of %d bytes in one batch, the limit is %d", size, math.MaxInt32)
	}
	b := &byteBuffers{validity: validity{alloc: c.Alloc, n: n}}
	b.offsetsBuffer = memory.NewResizableBuffer(c.Alloc)
	b.offsetsBuffer.Resize(4 * (n + 1))
	b.offsets = arrow.Int32Traits.CastFromBytes(b.offsetsBuffer.Bytes())
	b.offsets[0] = 0
	b.bytesBuffer = memory.NewResizableBuffer(c.Alloc)
	b.bytesBuffer.Resize(size)
	b.bytes = b.bytesBuffer.Bytes()
	return b, nil
}

func (b *byteBuffers) release() {
	b.validity.release()
	b.offsetsBuffer.Release()
	b.bytesBuffer.Release()
}

func (b *byteBuffers) finish(t arrow.DataType) arrow.Array {
	b.bytesBuffer.Resize(int(b.offsets[b.n]))
	return finish(t, b.n, &b.validity, b.offsetsBuffer, b.bytesBuffer)
}
