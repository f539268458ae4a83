package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// thriftReader reads Thrift's compact protocol from bytes in memory. The first
// problem sticks: later reads return zero values, and the caller asks err once.
// Nothing is allocated for a claimed length before that many bytes are seen.
type thriftReader struct {
	b     []byte
	at    int
	depth int
	err   error
}

// The compact protocol's wire types.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// maxThriftDepth bounds nesting; Parquet's own structures need six levels.
const maxThriftDepth = 32

var errThriftEnd = errors.New("metadata ends in the middle of a value")

func (r *thriftReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *thriftReader) byte() byte {
	if r.err != nil || r.at >= len(r.b) {
		r.fail(errThriftEnd)
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *thriftReader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 {
		r.fail(errThriftEnd)
		return 0
	}
	r.at += n
	return v
}

// int reads a zigzag integer of any width.
func (r *thriftReader) int() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// int32 reads an integer that the format declares as i32 or smaller.
func (r *thriftReader) int32() int32 {
	v := r.int()
	if v != int64(int32(v)) {
		r.fail(fmt.Errorf("number %d does not fit 32 bits", v))
	}
	return int32(v)
}

// bytes returns the next length-prefixed bytes, a slice of the input.
func (r *thriftReader) bytes() []byte {
	n := r.uvarint()
	if r.err != nil || n > uint64(len(r.b)-r.at) {
		r.fail(errThriftEnd)
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at : r.at]
}

func (r *thriftReader) string() string { return string(r.bytes()) }

// fields calls visit for each field of a struct, with its id and wire type;
// visit reads the value, or returns false to have it skipped. A boolean has no
// value beyond its type.
func (r *thriftReader) fields(visit func(id int, wire byte) bool) {
	if r.depth++; r.depth > maxThriftDepth {
		r.fail(fmt.Errorf("metadata nested deeper than %d", maxThriftDepth))
	}
	id := 0
	for r.err == nil {
		head := r.byte()
		wire := head & 15
		if wire == thriftStop {
			break
		}
		if delta := int(head >> 4); delta != 0 {
			id += delta
		} else {
			id = int(r.int32())
		}
		if r.err == nil && !visit(id, wire) {
			r.skip(wire)
		}
	}
	r.depth--
}

// list calls each for every element of a list of structs, binaries or numbers.
// It refuses a list that claims more elements than bytes are left.
func (r *thriftReader) list(each func(wire byte)) {
	head := r.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = r.uvarint()
	}
	if n > uint64(len(r.b)-r.at) {
		r.fail(fmt.Errorf("list of %d elements in %d bytes", n, len(r.b)-r.at))
	}
	for ; n > 0 && r.err == nil; n-- {
		each(head & 15)
	}
}

func (r *thriftReader) skip(wire byte) {
	switch wire {
	case thriftTrue, thriftFalse:
	case thriftByte:
		r.byte()
	case thriftI16, thriftI32, thriftI64:
		r.uvarint()
	case thriftDouble:
		for range 8 {
			r.byte()
		}
	case thriftBinary:
		r.bytes()
	case thriftList, thriftSet:
		r.list(r.skipElement)
	case thriftMap:
		r.skipMap()
	case thriftStruct:
		r.fields(func(int, byte) bool { return false })
	default:
		r.fail(fmt.Errorf("unknown metadata type %d", wire))
	}
}

// skipElement skips an element of a container, where booleans take a byte.
func (r *thriftReader) skipElement(wire byte) {
	if r.depth++; r.depth > maxThriftDepth {
		r.fail(fmt.Errorf("metadata nested deeper than %d", maxThriftDepth))
	}
	if wire == thriftTrue || wire == thriftFalse {
		r.byte()
	} else {
		r.skip(wire)
	}
	r.depth--
}

func (r *thriftReader) skipMap() {
	n := r.uvarint()
	if n == 0 {
		return
	}
	kinds := r.byte()
	if n > uint64(len(r.b)-r.at) {
		r.fail(fmt.Errorf("map of %d entries in %d bytes", n, len(r.b)-r.at))
	}
	for ; n > 0 && r.err == nil; n-- {
		r.skipElement(kinds >> 4)
		r.skipElement(kinds & 15)
	}
}
