// Package wire is the form in which the shuffle's elements travel and are kept: Arrow
// Flight messages with a header of ours, and record batches that stay in their bytes
// until somebody wants a column.
//
//	FlightData  app_metadata = Header (48 bytes, then TLVs)   data_header, data_body = Arrow IPC message
//
//	0      1       2         4      8         12        20     24          28      36       44      48
//	| kind | flags | version | lane | attempt | seq (8) | rows | partition | value | digest | crc32c |   see Header
//
// Everything is little endian. A message without an Arrow part is control: barrier,
// watermark, end of lane, or one whose content is a message of control.proto. A TLV is
// one byte of type, four of length, the value: row kinds, the dictionary of a column,
// a control message. The CRC-32C is of TLVs, Arrow message, body and header, in this
// order, so that rows are handed on under another header without being read.
//
// Record is an arrow.RecordBatch over the bytes of one IPC message. It knows its rows,
// bytes and digest from the header; columns it has after Decode, without a copy. A
// server that only keeps and hands on never asks, so what it sends is what it was sent.
//
// Conn is a bare stream, by which our own processes push and read (ADR 0011): frames on a
// connection for each stream, written from where the columns lie and read to where they
// stay. It begins with a greeting, so that it can share a port:
//
//	Preface (8) | TLS around the rest, if the server has it | what the caller shows | frames
//	frame: length (4) | ^length (4) | FlightData
//
// Codec is the gRPC codec of the same messages in a DoExchange: FlightData is taken apart
// and put together by hand, without copying what goes out and into one buffer for what
// comes in, with the same bytes as the generated code.
//
// Checked: the CRC-32C of every message when it arrives and when it is read from
// disk; sizes against limits before anything is allocated; a batch against the
// exchange's schema when it is decoded. What is broken is ErrChecksum or ErrMalformed.
package wire
