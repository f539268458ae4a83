// Package wire is the form in which the shuffle's elements travel and are kept: Arrow
// Flight messages with a header of ours, and record batches that stay in their bytes
// until somebody wants a column.
//
//	FlightData  app_metadata = Header (48 bytes, then TLVs)   data_header, data_body = Arrow IPC message
//
//	0      1       2         4      8         10      12    16     24     28          32          40       44      48
//	| kind | flags | version | lane | attempt | epoch | seq (8)    | rows | partition | watermark | digest | crc32c |   see Header
//
// The header's layout is that of Header.Append; everything is little endian. A
// message without an Arrow part is control: barrier, watermark, end of lane.
//
// Record is an arrow.RecordBatch over the bytes of one IPC message. It knows its rows,
// bytes and digest from the header; columns are decoded, without a copy, when they are
// asked for. A server that only keeps and hands on never asks, so what it sends is what
// it was sent.
//
// Codec is the gRPC codec of the push and consume streams: FlightData is taken apart
// and put together by hand over pooled buffers, with the same bytes as the generated
// code, so any Flight client can be at the other end.
//
// Checked: the CRC-32C of every message when it arrives and when it is read from
// disk; sizes against limits before anything is allocated; a batch against the
// exchange's schema when it is decoded. What is broken is ErrChecksum or ErrMalformed.
package wire
