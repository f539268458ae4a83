package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// maxPageBytes bounds one decompressed page.
const maxPageBytes = 1 << 30

// ratios are the most that a byte can decompress to, so that a page header that
// lies about its size cannot make us allocate what the data cannot fill.
// parquet-go's own decoders trust the header, and its LZ4 never gives up.
var ratios = map[format.CompressionCodec]int{
	format.Uncompressed: 1,
	format.Snappy:       64,
	format.Gzip:         1100,
	format.Brotli:       1 << 20,
	format.Zstd:         1 << 15,
	format.Lz4Raw:       256,
	hadoopLZ4:           256,
}

// checkSizes says whether a page of those sizes can exist.
func checkSizes(codec format.CompressionCodec, compressed, uncompressed int) error {
	ratio, known := ratios[codec]
	switch {
	case !known:
		return fmt.Errorf("compression %s is not supported", codec)
	case uncompressed > maxPageBytes:
		return fmt.Errorf("page of %d bytes is larger than the limit of %d", uncompressed, maxPageBytes)
	case uncompressed > (compressed+64)*ratio:
		return fmt.Errorf("page of %d bytes cannot decompress to %d", compressed, uncompressed)
	}
	return nil
}

// decompressor decodes pages; it belongs to one reader.
type decompressor struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// decode decompresses src into dst, whose length is the expected size.
func (d *decompressor) decode(codec format.CompressionCodec, dst, src []byte) error {
	n, err := 0, error(nil)
	switch codec {
	case format.Uncompressed:
		n = copy(dst, src)
	case format.Snappy:
		if n, err = snappy.DecodedLen(src); err == nil && n == len(dst) {
			_, err = snappy.Decode(dst, src)
		}
	case format.Lz4Raw:
		n, err = lz4.UncompressBlock(src, dst)
	case hadoopLZ4:
		n, err = decodeHadoopLZ4(dst, src)
	case format.Zstd:
		n, err = d.decodeZstd(dst, src)
	case format.Gzip:
		n, err = d.decodeGzip(dst, src)
	case format.Brotli:
		n, err = readExactly(brotli.NewReader(bytes.NewReader(src)), dst)
	default:
		err = fmt.Errorf("compression %s is not supported", codec)
	}
	if err == nil && n != len(dst) {
		err = fmt.Errorf("%d bytes instead of %d", n, len(dst))
	}
	if err != nil {
		return fmt.Errorf("decompress %s page: %w", codec, err)
	}
	return nil
}

// hadoopLZ4 is the codec LZ4 of old files: Hadoop's frames, or the bare block
// that some writers put under that name.
const hadoopLZ4 format.CompressionCodec = 5

func decodeHadoopLZ4(dst, src []byte) (int, error) {
	if n, err := decodeHadoopFrames(dst, src); err == nil && n == len(dst) {
		return n, nil
	}
	return lz4.UncompressBlock(src, dst)
}

// decodeHadoopFrames decodes frames of a size before and after compression, both
// big-endian, and one block.
func decodeHadoopFrames(dst, src []byte) (int, error) {
	at := 0
	for len(src) > 0 {
		if len(src) < 8 {
			return at, io.ErrUnexpectedEOF
		}
		plain, packed := uint64(binary.BigEndian.Uint32(src)), uint64(binary.BigEndian.Uint32(src[4:]))
		if src = src[8:]; packed > uint64(len(src)) || plain > uint64(len(dst)-at) {
			return at, io.ErrUnexpectedEOF
		}
		n, err := lz4.UncompressBlock(src[:packed], dst[at:at+int(plain)])
		if err != nil || uint64(n) != plain {
			return at, fmt.Errorf("frame of %d bytes has %d: %w", plain, n, err)
		}
		src, at = src[packed:], at+n
	}
	return at, nil
}

func (d *decompressor) decodeZstd(dst, src []byte) (int, error) {
	if d.zstd == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
		if err != nil {
			return 0, err
		}
		d.zstd = z
	}
	out, err := d.zstd.DecodeAll(src, dst[:0:len(dst)])
	return len(out), err
}

func (d *decompressor) decodeGzip(dst, src []byte) (int, error) {
	var err error
	if d.gzip == nil {
		d.gzip, err = gzip.NewReader(bytes.NewReader(src))
	} else {
		err = d.gzip.Reset(bytes.NewReader(src))
	}
	if err != nil {
		d.gzip = nil
		return 0, err
	}
	return readExactly(d.gzip, dst)
}

// readExactly fills dst and makes sure that nothing follows.
func readExactly(r io.Reader, dst []byte) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err != nil {
		return n, err
	}
	var more [1]byte
	if extra, err := r.Read(more[:]); extra > 0 {
		return n + extra, nil
	} else if err != nil && err != io.EOF {
		return n, err
	}
	return n, nil
}
