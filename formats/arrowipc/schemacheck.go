package arrowipc

import (
	"encoding/binary"
	"errors"
	"fmt"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Slots of the tables in Arrow's Schema.fbs, Message.fbs and File.fbs.
const (
	footerSchema   = 6
	messageHeader  = 8
	schemaFields   = 6
	schemaMetadata = 8
	fieldChildren  = 14
	fieldMetadata  = 16
)

const (
	maxMetadata = 64 << 20
	maxDepth    = 100
)

// checkFile makes sure that a file's schema has no more entries than its bytes
// can hold; arrow-go allocates what the counts claim. Out of bounds offsets
// panic, as everywhere in flatbuffers, and guard recovers.
func (s *source) checkFile() error {
	var tail [4 + len(fileMagic)]byte
	if n, err := s.bytes.ReadAt(tail[:], s.in.Size-int64(len(tail))); n < len(tail) {
		return fmt.Errorf("footer: %w", err)
	}
	size := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != fileMagic || size < 4 || size > s.in.Size-int64(len(tail)) || size > maxMetadata {
		return errors.New("footer is missing: the file was cut, or its end is damaged")
	}
	footer := make([]byte, size)
	if n, err := s.bytes.ReadAt(footer, s.in.Size-int64(len(tail))-size); n < len(footer) {
		return fmt.Errorf("footer: %w", err)
	}
	return checkSchema(footer, footerSchema)
}

// checkStream does the same for the message that a stream begins with.
func (s *source) checkStream() error {
	var head [8]byte
	if n, err := s.bytes.ReadAt(head[:], 0); n < len(head) {
		return fmt.Errorf("too short: %w", err)
	}
	at, size := int64(8), int64(binary.LittleEndian.Uint32(head[4:]))
	if binary.LittleEndian.Uint32(head[:]) != 0xffffffff { // before format version 0.15
		at, size = 4, int64(binary.LittleEndian.Uint32(head[:]))
	}
	if size < 4 || size > s.in.Size-at || size > maxMetadata {
		return fmt.Errorf("first message of %d bytes in a file of %d", size, s.in.Size)
	}
	message := make([]byte, size)
	if n, err := s.bytes.ReadAt(message, at); n < len(message) {
		return fmt.Errorf("schema: %w", err)
	}
	return checkSchema(message, messageHeader)
}

func checkSchema(b []byte, slot flatbuffers.VOffsetT) error {
	t := flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return errors.New("it has no schema")
	}
	schema := flatbuffers.Table{Bytes: b, Pos: t.Indirect(t.Pos + o)}
	left := len(b) / 8 // a field takes more bytes than that
	if err := checkCount(schema, schemaMetadata, &left); err != nil {
		return err
	}
	return checkFields(schema, schemaFields, &left, 0)
}

// checkCount takes the length of a vector of tables from left.
func checkCount(t flatbuffers.Table, slot flatbuffers.VOffsetT, left *int) error {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return nil
	}
	n := t.VectorLen(o)
	if *left -= n; n < 0 || *left < 0 {
		return fmt.Errorf("schema of %d entries in %d bytes", n, len(t.Bytes))
	}
	return nil
}

// checkFields counts the fields of a schema, or of a field, against left.
func checkFields(t flatbuffers.Table, slot flatbuffers.VOffsetT, left *int, depth int) error {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if err := checkCount(t, slot, left); err != nil || o == 0 {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("schema nested deeper than %d", maxDepth)
	}
	at := t.Vector(o)
	for i := range t.VectorLen(o) {
		field := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(4*i))}
		if err := checkCount(field, fieldMetadata, left); err != nil {
			return err
		}
		if err := checkFields(field, fieldChildren, left, depth+1); err != nil {
			return err
		}
	}
	return nil
}
