// Package partition stores the partitions of one exchange of retention job:
// in memory as they came while there is room, then on local disk.
//
// A run is what one attempt of a lane wrote: blocks, one list a partition. The
// first attempt of a lane that is sealed wins the lane; runs of others are
// discarded. Sealed runs are immutable and read as often as one likes.
//
// Memory is a Tier's, which several stores share. A store that gets no room
// there writes its largest partition to disk, or, if it holds nothing, the new
// block itself; so memory stays within the tier's limit whoever is slow.
//
// Disk: each store appends to pack files of its own, opened through an os.Root
// and so confined to the spill directory; they are removed by Close. A block is
// self-contained: any block can be read alone, in any order.
//
// Its bytes are those of shuffle/wire: what arrived in wire form is written as it is,
// and stays so when it is read back.
//
// Checked on read: each block's checksum, and, by the reader of a run, rows,
// bytes and digest of all its blocks against the manifest. What differs is
// shuffle.ErrDataLoss, never a short read. It damages the lane: nobody reads it any more,
// and the next attempt that is sealed takes its place. The others are as they were.
//
// Locks: a store's lock is held while it reads and writes its files; it is taken
// before the tier's, which is a leaf.
package partition
