package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// fileMetadata is the part of a file's footer that reading needs. Unlike
// parquet-go's it tells an absent null count from zero, without which IS NULL
// could not be pruned safely.
type fileMetadata struct {
	elements  []element // the schema tree, depth first
	rows      int64
	groups    []rowGroup
	orders    []bool // per leaf: its min_value and max_value have the order we know
	encrypted bool
}

// element is one node of the schema.
type element struct {
	name       string
	group      bool
	physical   format.Type
	length     int // FIXED_LEN_BYTE_ARRAY
	repetition format.FieldRepetitionType
	children   int
	converted  deprecated.ConvertedType // -1 for none
	precision  int
	scale      int
	logical    logical
}

// logical is a union: kind is the field id of Parquet's LogicalType, 0 for none.
type logical struct {
	kind      int
	precision int
	scale     int
	utc       bool
	unit      int // 1 ms, 2 us, 3 ns
	bits      int
	signed    bool
}

// Field ids of the LogicalType union.
const (
	logicalString    = 1
	logicalMap       = 2
	logicalList      = 3
	logicalEnum      = 4
	logicalDecimal   = 5
	logicalDate      = 6
	logicalTime      = 7
	logicalTimestamp = 8
	logicalInteger   = 10
	logicalNull      = 11
	logicalJSON      = 12
	logicalUUID      = 14
	logicalFloat16   = 15
)

type rowGroup struct {
	chunks []chunk
	rows   int64
	bytes  int64
}

// chunk is one column of one row group.
type chunk struct {
	physical   format.Type
	codec      format.CompressionCodec
	values     int64
	plainBytes int64 // of the pages before compression
	compressed int64
	dataOffset int64
	dictOffset int64 // 0: none recorded
	elsewhere  bool  // the data lies in another file or is encrypted
	statistics statistics
	// The page index and the bloom filter, whose length old files do not say.
	offsetIndex, columnIndex, bloom location
}

// statistics are nil or -1 where the file does not say.
type statistics struct {
	oldMin, oldMax []byte // compared as signed, whatever the type
	min, max       []byte
	nulls          int64
}

// start is where the chunk's first page begins.
func (c *chunk) start() int64 {
	if c.dictOffset > 0 && c.dictOffset < c.dataOffset {
		return c.dictOffset
	}
	return c.dataOffset
}

func parseMetadata(b []byte) (*fileMetadata, error) {
	m := &fileMetadata{}
	r := &thriftReader{b: b}
	r.fields(func(id int, _ byte) bool {
		switch id {
		case 2:
			r.list(func(byte) { m.elements = append(m.elements, readElement(r)) })
		case 3:
			m.rows = r.int()
		case 4:
			r.list(func(byte) { m.groups = append(m.groups, readRowGroup(r)) })
		case 7:
			r.list(func(byte) { m.orders = append(m.orders, readOrder(r)) })
		case 8:
			m.encrypted = true
			return false
		default:
			return false
		}
		return true
	})
	if r.err != nil {
		return nil, fmt.Errorf("footer, byte %d of %d: %w", r.at, len(b), r.err)
	}
	return m, nil
}

func readElement(r *thriftReader) element {
	e := element{group: true, converted: -1}
	r.fields(func(id int, _ byte) bool {
		switch id {
		case 1:
			e.physical, e.group = format.Type(r.int32()), false
		case 2:
			e.length = int(r.int32())
		case 3:
			e.repetition = format.FieldRepetitionType(r.int32())
		case 4:
			e.name = r.string()
		case 5:
			e.children = int(r.int32())
		case 6:
			e.converted = deprecated.ConvertedType(r.int32())
		case 7:
			e.scale = int(r.int32())
		case 8:
			e.precision = int(r.int32())
		case 10:
			e.logical = readLogical(r)
		default:
			return false
		}
		return true
	})
	return e
}

func readLogical(r *thriftReader) (l logical) {
	r.fields(func(id int, wire byte) bool {
		l.kind = id
		if wire != thriftStruct {
			return false
		}
		r.fields(func(field int, wire byte) bool { return readLogicalField(r, &l, field, wire) })
		return true
	})
	return l
}

func readLogicalField(r *thriftReader, l *logical, field int, wire byte) bool {
	truth := wire == thriftTrue
	switch {
	case l.kind == logicalDecimal && field == 1:
		l.scale = int(r.int32())
	case l.kind == logicalDecimal && field == 2:
		l.precision = int(r.int32())
	case l.kind == logicalInteger && field == 1 && wire == thriftByte:
		l.bits = int(r.byte())
	case l.kind == logicalInteger && field == 2:
		l.signed = truth
	case (l.kind == logicalTime || l.kind == logicalTimestamp) && field == 1:
		l.utc = truth
	case (l.kind == logicalTime || l.kind == logicalTimestamp) && field == 2 && wire == thriftStruct:
		r.fields(func(unit int, _ byte) bool { l.unit = unit; return false })
	default:
		return false
	}
	return true
}

func readRowGroup(r *thriftReader) (g rowGroup) {
	r.fields(func(id int, _ byte) bool {
		switch id {
		case 1:
			r.list(func(byte) { g.chunks = append(g.chunks, readChunk(r)) })
		case 2:
			g.bytes = r.int()
		case 3:
			g.rows = r.int()
		default:
			return false
		}
		return true
	})
	return g
}

func readChunk(r *thriftReader) chunk {
	c := chunk{statistics: statistics{nulls: -1}}
	inline := false
	r.fields(func(id int, _ byte) bool {
		switch id {
		case 1:
			c.elsewhere = c.elsewhere || len(r.bytes()) > 0
		case 3:
			inline = true
			r.fields(func(id int, _ byte) bool { return readChunkField(r, &c, id) })
		case 4:
			c.offsetIndex.offset = r.int()
		case 5:
			c.offsetIndex.length = int64(r.int32())
		case 6:
			c.columnIndex.offset = r.int()
		case 7:
			c.columnIndex.length = int64(r.int32())
		case 8:
			c.elsewhere = true
			return false
		default:
			return false
		}
		return true
	})
	c.elsewhere = c.elsewhere || !inline
	return c
}

func readChunkField(r *thriftReader, c *chunk, id int) bool {
	switch id {
	case 1:
		c.physical = format.Type(r.int32())
	case 4:
		c.codec = format.CompressionCodec(r.int32())
	case 5:
		c.values = r.int()
	case 6:
		c.plainBytes = r.int()
	case 7:
		c.compressed = r.int()
	case 9:
		c.dataOffset = r.int()
	case 11:
		c.dictOffset = r.int()
	case 12:
		r.fields(func(id int, _ byte) bool { return readStatisticsField(r, &c.statistics, id) })
	case 14:
		c.bloom.offset = r.int()
	case 15:
		c.bloom.length = int64(r.int32())
	default:
		return false
	}
	return true
}

func readStatisticsField(r *thriftReader, s *statistics, id int) bool {
	switch id {
	case 1:
		s.oldMax = r.bytes()
	case 2:
		s.oldMin = r.bytes()
	case 3:
		s.nulls = r.int()
	case 5:
		s.max = r.bytes()
	case 6:
		s.min = r.bytes()
	default:
		return false
	}
	return true
}

// readOrder reports whether a ColumnOrder is the type-defined one.
func readOrder(r *thriftReader) (known bool) {
	r.fields(func(id int, _ byte) bool {
		known = id == 1
		return false
	})
	return known
}

// pageHeader is the part of a page's header that reading needs.
type pageHeader struct {
	kind         format.PageType
	compressed   int
	uncompressed int
	values       int // nulls included
	encoding     format.Encoding
	levels       format.Encoding // of definition levels, version 1
	// version 2
	defBytes, repBytes int
	plainValues        bool // is_compressed = false
	crc                uint32
	hasCRC             bool
	repLevels          format.Encoding // of repetition levels, version 1
}

// parsePageHeader reads a header from the front of b and says how long it is.
func parsePageHeader(b []byte) (h pageHeader, length int, err error) {
	r := &thriftReader{b: b}
	h.kind = -1
	r.fields(func(id int, wire byte) bool {
		switch {
		case id == 1:
			h.kind = format.PageType(r.int32())
		case id == 2:
			h.uncompressed = int(r.int32())
		case id == 3:
			h.compressed = int(r.int32())
		case id == 4:
			h.crc, h.hasCRC = uint32(r.int32()), true
		case (id == 5 || id == 7) && wire == thriftStruct:
			r.fields(func(id int, _ byte) bool { return readPageV1Field(r, &h, id) })
		case id == 8 && wire == thriftStruct:
			r.fields(func(id int, wire byte) bool { return readPageV2Field(r, &h, id, wire) })
		default:
			return false
		}
		return true
	})
	if r.err != nil {
		return h, 0, fmt.Errorf("page header: %w", r.err)
	}
	if h.compressed < 0 || h.uncompressed < 0 || h.values < 0 || h.defBytes < 0 || h.repBytes < 0 {
		return h, 0, fmt.Errorf("page header: negative size in %+v", h)
	}
	return h, r.at, nil
}

// readPageV1Field reads a field of a data page of version 1 or a dictionary
// page, whose first two fields are alike.
func readPageV1Field(r *thriftReader, h *pageHeader, id int) bool {
	switch id {
	case 1:
		h.values = int(r.int32())
	case 2:
		h.encoding = format.Encoding(r.int32())
	case 3:
		if h.kind != format.DataPage {
			return false
		}
		h.levels = format.Encoding(r.int32())
	case 4:
		if h.kind != format.DataPage {
			return false
		}
		h.repLevels = format.Encoding(r.int32())
	default:
		return false
	}
	return true
}

func readPageV2Field(r *thriftReader, h *pageHeader, id int, wire byte) bool {
	switch id {
	case 1:
		h.values = int(r.int32())
	case 4:
		h.encoding = format.Encoding(r.int32())
	case 5:
		h.defBytes = int(r.int32())
	case 6:
		h.repBytes = int(r.int32())
	case 7:
		h.plainValues = wire == thriftFalse
		return wire == thriftTrue || wire == thriftFalse
	default:
		return false
	}
	return true
}
