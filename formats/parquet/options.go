package parquet

import (
	"io"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

const (
	optCompression  = "compression"
	optRowGroupRows = "row-group-rows"
	optDictionary   = "enable.dictionary"
	optBloom        = "bloom.columns"
)

// defaultRowGroupRows is small enough that a file of a million rows keeps eight
// readers busy, for a row group is the grain of parallel reading.
const defaultRowGroupRows = 122_880

// maxRowGroupRows bounds what a writer buffers.
const maxRowGroupRows = 16 << 20

// writeOptions are the table options that writing looks at.
type writeOptions struct {
	codec        format.CompressionCodec
	rowGroupRows int
	dictionary   bool
	bloom        []string // paths of columns, dotted
}

var codecs = map[string]format.CompressionCodec{
	"snappy": format.Snappy, "gzip": format.Gzip, "zstd": format.Zstd, "brotli": format.Brotli,
	"lz4": format.Lz4Raw, "lz4_raw": format.Lz4Raw, "uncompressed": format.Uncompressed, "none": format.Uncompressed,
}

var _ formats.OptionChecker = Format{}

// CheckOptions implements formats.OptionChecker: columns of bloom filters must exist.
func (Format) CheckOptions(o formats.Options, schema datatype.Schema) error {
	parsed, err := parseOptions(o)
	if err != nil || len(parsed.bloom) == 0 || len(schema) == 0 {
		return err
	}
	w, err := newWriter(io.Discard, schema, formats.WriteOptions{Options: o})
	if err != nil {
		return err
	}
	return w.Close()
}

func checkOptions(o formats.Options) error {
	_, err := parseOptions(o)
	return err
}

func parseOptions(o formats.Options) (w writeOptions, err error) {
	section, err := o.Section("parquet", optCompression, optRowGroupRows, optDictionary, optBloom)
	if err != nil {
		return w, err
	}
	w = writeOptions{codec: format.Snappy, rowGroupRows: defaultRowGroupRows, dictionary: true}
	if s, ok := section[optCompression]; ok {
		if w.codec, ok = codecs[strings.ToLower(s)]; !ok {
			return w, failure.Errorf(failure.Usage, "parquet.compression = %q: want snappy, zstd, gzip, brotli, lz4_raw or uncompressed", s)
		}
	}
	if s, ok := section[optRowGroupRows]; ok {
		if w.rowGroupRows, err = strconv.Atoi(s); err != nil || w.rowGroupRows < 1 || w.rowGroupRows > maxRowGroupRows {
			return w, failure.Errorf(failure.Usage, "parquet.row-group-rows = %q: want a number from 1 to %d", s, maxRowGroupRows)
		}
	}
	if s, ok := section[optDictionary]; ok {
		if w.dictionary, err = strconv.ParseBool(s); err != nil {
			return w, failure.Errorf(failure.Usage, "parquet.enable.dictionary = %q: want true or false", s)
		}
	}
	if s := section[optBloom]; s != "" {
		for name := range strings.SplitSeq(s, ",") {
			w.bloom = append(w.bloom, strings.TrimSpace(name))
		}
	}
	return w, nil
}
