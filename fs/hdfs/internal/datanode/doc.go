// Package datanode reads ranges of blocks from datanodes, by Hadoop's data transfer
// protocol without encryption. The client library reads each block to its end on a
// connection of its own; this asks for the bytes that are wanted, checks them, and
// leaves the connection to the next request.
//
//	request    version(2)=28  op(1)=81  length(varint) OpReadBlockProto
//	answer     length(varint) BlockOpResponseProto
//	packet     length(4)  header length(2)  PacketHeaderProto  checksums  data
//	  ...      the first begins at or before the range, at a multiple of the chunk
//	packet     without data, the last
//	status     length(varint) ClientReadStatusProto, from the client
//
// Each chunk, 512 bytes as a rule, has a checksum.
package datanode
