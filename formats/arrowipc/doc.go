// Package arrowipc reads and writes Arrow's own formats: the file format, with
// a footer and random access, and the stream format. Reading tells them apart
// by the first bytes; writing makes files unless arrow.layout=stream.
//
// The bytes are decoded by arrow-go. Around it this package picks and converts
// the wanted columns (types that SQL does not have become the ones that
// datatype.FromArrow names), cuts batches to size, turns panics on corrupt input
// into errors of class failure.BadData, and gives back the memory of a batch
// whose decoding failed half-way.
//
// Spans count record batches of files; a stream is one span. Written columns
// are plain: dictionaries are decoded, because a file's dictionaries cannot
// change from batch to batch.
//
// # Options
//
//	arrow.layout       file or stream
//	arrow.compression  none, lz4 or zstd
package arrowipc
