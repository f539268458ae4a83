package parquet

import (
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/bloom/xxhash"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/predicate"
)

// bloomExcludes reports whether bloom filters prove that no row of a row group matches:
// they tell values that are in no row, so = and IN, under AND and OR.
func (r *reader) bloomExcludes(group int, p *predicate.Predicate) (bool, error) {
	switch p.Op {
	case predicate.And:
		for i := range p.Terms {
			if none, err := r.bloomExcludes(group, &p.Terms[i]); none || err != nil {
				return none, err
			}
		}
		return false, nil
	case predicate.Or:
		for i := range p.Terms {
			if none, err := r.bloomExcludes(group, &p.Terms[i]); !none || err != nil {
				return false, err
			}
		}
		return len(p.Terms) > 0, nil
	case predicate.Eq, predicate.In:
		return r.bloomLacks(group, p)
	}
	return false, nil
}

// bloomLacks reports whether none of the literals is in a chunk.
func (r *reader) bloomLacks(group int, p *predicate.Predicate) (bool, error) {
	c := r.file.column(p.Column)
	if c == nil || c.nested {
		return false, nil
	}
	l, want := c.leaves[0], c.typ
	if i := r.opts.Columns.Index(p.Column); i >= 0 {
		want = r.opts.Columns[i].Type
	}
	k := &r.file.meta.groups[group].chunks[l.index]
	if k.bloom.offset <= 0 {
		return false, nil
	}
	hashes := make([]uint64, len(p.Literals))
	for i, v := range p.Literals {
		var ok bool
		if hashes[i], ok = bloomHash(l, want, v); !ok {
			return false, nil
		}
	}
	filter, err := r.readBloom(k.bloom)
	if err != nil || filter == nil {
		return false, err
	}
	for _, h := range hashes {
		if filter.Check(h) {
			return false, nil
		}
	}
	return true, nil
}

// bloomHash is the hash of a literal as the leaf stores it; false where the stored
// value is another one or not known.
func bloomHash(l *leaf, want datatype.Type, v any) (uint64, bool) {
	switch v := v.(type) {
	case string:
		return xxhash.Sum64([]byte(v)), l.physical == format.ByteArray && l.datatype.Kind == datatype.Varchar && want.Kind == datatype.Varchar
	case []byte:
		return xxhash.Sum64(v), l.physical == format.ByteArray && l.datatype.IsBinary() && want.IsBinary()
	case int64:
		c, err := fixedConverter(l, want)
		if err != nil || !c.plain() || c.load != loadSame && c.load != loadInt32 && c.load != loadInt64 {
			return 0, false
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(v))
		fits := c.in == 8 || c.in == 4 && v >= math.MinInt32 && v <= math.MaxInt32
		return xxhash.Sum64(b[:min(c.in, 8)]), fits
	}
	return 0, false
}

const (
	// bloomHead is read of a filter whose length the file does not say.
	bloomHead    = 64
	maxBloomRead = 32 << 20
	bloomBlock   = bloom.BlockSize
)

// readBloom reads a filter; nil if it is of a kind that we do not know, or damaged.
func (r *reader) readBloom(at location) (bloom.SplitBlockFilter, error) {
	n := at.length
	if n <= 0 {
		n = bloomHead
	}
	if n = min(n, r.file.in.Size-at.offset); n <= 0 || n > maxBloomRead {
		return nil, nil
	}
	b := make([]byte, n)
	if err := r.readIndex(b, at.offset); err != nil {
		return nil, err
	}
	size, head := bloomHeader(b)
	if size <= 0 || size%bloomBlock != 0 || size > maxBloomRead || at.offset+int64(head)+int64(size) > r.file.in.Size {
		return nil, nil
	}
	bits := b[head:]
	if len(bits) < size {
		bits = make([]byte, size)
		if err := r.readIndex(bits, at.offset+int64(head)); err != nil {
			return nil, err
		}
	}
	return bloom.MakeSplitBlockFilter(bits[:size]), nil
}

func (r *reader) readIndex(b []byte, offset int64) error {
	r.stats.Bytes += int64(len(b))
	return readFull(r.file.in, b, offset)
}

// bloomHeader returns how many bytes of bits follow a header, and its own length; no
// bytes where the filter is not of split blocks, with XXH64, uncompressed.
func bloomHeader(b []byte) (size, length int) {
	t := &thriftReader{b: b}
	kinds := 0
	t.fields(func(id int, wire byte) bool {
		switch {
		case id == 1:
			size = int(t.int32())
			return true
		case id >= 2 && id <= 4 && wire == thriftStruct:
			t.fields(func(kind int, _ byte) bool {
				if kind == 1 {
					kinds++
				}
				return false
			})
			return true
		}
		return false
	})
	if t.err != nil || kinds != 3 {
		return 0, 0
	}
	return size, t.at
}
