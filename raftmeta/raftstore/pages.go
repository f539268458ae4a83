package raftstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/tidemill/tidemill/raftmeta"
)

// bbolt trusts its pages: where a damaged one leads back to itself it walks for ever, where
// one leads to a free page the log changes silently. So the pages are walked here before it
// opens the file. The format is that of its version 2:
//
//	page    id(8) flags(2) count(2) overflow(4), count elements, their keys and values
//	branch  position(4) keyBytes(4) page(8)
//	leaf    flags(4) position(4) keyBytes(4) valueBytes(4)
//	bucket  a leaf's value: root(8) sequence(8), and a page of its own if root is 0
//	meta    magic(4) version(4) pageSize(4) flags(4) bucket(16) freelist(8) pages(8) transaction(8) fnv64a(8)
//
// Positions count from the element, all numbers are little endian.
const (
	pageHeader  = 16
	element     = 16
	branchPage  = 0x01
	leafPage    = 0x02
	freePage    = 0x10
	bucketLeaf  = 0x01
	metaBytes   = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	maxDepth    = 32
)

// pages walks a file of bbolt.
type pages struct {
	file  io.ReaderAt
	size  int64  // of a page
	limit uint64 // number of pages
	seen  map[uint64]bool
}

// checkPages fails with ErrCorrupt unless the pages of a file make sense. An empty file is
// a new one.
func checkPages(path string) error {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	meta := newestMeta(file)
	if meta == nil {
		return fmt.Errorf("%w: no header", raftmeta.ErrCorrupt)
	}
	p := &pages{
		file: file, size: int64(binary.LittleEndian.Uint32(meta[8:])), limit: binary.LittleEndian.Uint64(meta[40:]),
		seen: map[uint64]bool{},
	}
	if p.size < 512 || p.limit > uint64(info.Size()/p.size) {
		return fmt.Errorf("%w: %d bytes for %d pages of %d", raftmeta.ErrCorrupt, info.Size(), p.limit, p.size)
	}
	if err := p.walk(binary.LittleEndian.Uint64(meta[16:]), nil, nil, 0); err != nil {
		return err
	}
	return p.checkFree(binary.LittleEndian.Uint64(meta[32:]))
}

// newestMeta is the header of the last transaction, or nil.
func newestMeta(file io.ReaderAt) (newest []byte) {
	for _, at := range []int64{0, 4096, 8192, 16384, 32768, 65536} { // by size of a page
		meta := make([]byte, metaBytes)
		if n, _ := file.ReadAt(meta, at+pageHeader); n < metaBytes {
			break
		}
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:metaBytes-8]) // it never fails
		valid := binary.LittleEndian.Uint32(meta) == metaMagic && binary.LittleEndian.Uint32(meta[4:]) == metaVersion &&
			binary.LittleEndian.Uint64(meta[metaBytes-8:]) == sum.Sum64() &&
			(at == 0 || at == int64(binary.LittleEndian.Uint32(meta[8:])))
		if valid && (newest == nil || binary.LittleEndian.Uint64(meta[48:]) > binary.LittleEndian.Uint64(newest[48:])) {
			newest = meta
		}
	}
	return newest
}

func (p *pages) corrupt(id uint64, what string) error {
	return fmt.Errorf("%w: page %d: %s", raftmeta.ErrCorrupt, id, what)
}

// read returns a page whole, which nobody may have read.
func (p *pages) read(id uint64) ([]byte, error) {
	head := make([]byte, pageHeader)
	if id < 2 || id >= p.limit {
		return nil, p.corrupt(id, "not there")
	}
	if _, err := p.file.ReadAt(head, int64(id)*p.size); err != nil {
		return nil, err
	}
	more := uint64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint64(head) != id || id+more >= p.limit {
		return nil, p.corrupt(id, "header")
	}
	for i := id; i <= id+more; i++ {
		if p.seen[i] {
			return nil, p.corrupt(i, "used twice")
		}
		p.seen[i] = true
	}
	b := make([]byte, int64(more+1)*p.size)
	_, err := p.file.ReadAt(b, int64(id)*p.size)
	return b, err
}

// walk checks a page and what is below it, where keys are from low to below high, if any.
func (p *pages) walk(id uint64, low, high []byte, depth int) error {
	b, err := p.read(id)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return p.corrupt(id, "too deep")
	}
	return p.checkPage(id, b, low, high, depth)
}

func (p *pages) checkPage(id uint64, b, low, high []byte, depth int) error {
	flags, count := binary.LittleEndian.Uint16(b[8:]), int(binary.LittleEndian.Uint16(b[10:]))
	if flags != branchPage && flags != leafPage || pageHeader+count*element > len(b) || flags == branchPage && count == 0 {
		return p.corrupt(id, "flags or count")
	}
	keys := make([][]byte, count)
	values := make([][]byte, count) // of leaves
	for i := range count {
		at := pageHeader + i*element
		e := b[at : at+element]
		position, keyBytes, valueBytes := uint64(binary.LittleEndian.Uint32(e)), uint64(binary.LittleEndian.Uint32(e[4:])), uint64(0)
		if flags == leafPage {
			position, keyBytes = uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
			valueBytes = uint64(binary.LittleEndian.Uint32(e[12:]))
		}
		start := uint64(at) + position
		if start+keyBytes+valueBytes > uint64(len(b)) {
			return p.corrupt(id, "an element beyond its end")
		}
		keys[i], values[i] = b[start:start+keyBytes], b[start+keyBytes:start+keyBytes+valueBytes]
		ordered := i == 0 && bytes.Compare(keys[i], low) >= 0 || i > 0 && bytes.Compare(keys[i], keys[i-1]) > 0
		if !ordered || high != nil && bytes.Compare(keys[i], high) >= 0 {
			return p.corrupt(id, "keys out of order")
		}
	}
	for i := range count {
		e := b[pageHeader+i*element:]
		below := high
		if i+1 < count {
			below = keys[i+1]
		}
		var err error
		switch {
		case flags == branchPage:
			err = p.walk(binary.LittleEndian.Uint64(e[8:]), keys[i], below, depth+1)
		case binary.LittleEndian.Uint32(e) == bucketLeaf:
			err = p.checkBucket(id, values[i], depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) checkBucket(id uint64, value []byte, depth int) error {
	if len(value) < 16 {
		return p.corrupt(id, "a bucket without a header")
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return p.walk(root, nil, nil, depth+1)
	}
	if len(value) < 16+pageHeader || depth > maxDepth {
		return p.corrupt(id, "a bucket without a page")
	}
	return p.checkPage(id, value[16:], nil, nil, depth+1)
}

// checkFree checks that no page in use is in the list of free ones.
func (p *pages) checkFree(id uint64) error {
	b, err := p.read(id)
	if err != nil {
		return err
	}
	count, at := uint64(binary.LittleEndian.Uint16(b[10:])), uint64(pageHeader)
	if count == 0xFFFF {
		count, at = binary.LittleEndian.Uint64(b[pageHeader:]), at+8
	}
	if binary.LittleEndian.Uint16(b[8:]) != freePage || count > (uint64(len(b))-at)/8 {
		return p.corrupt(id, "the list of free pages")
	}
	for i := range count {
		free := binary.LittleEndian.Uint64(b[at+8*i:])
		if free < 2 || free >= p.limit || p.seen[free] {
			return p.corrupt(id, "a page that is used is free")
		}
		p.seen[free] = true
	}
	return nil
}
