// Package partition stores the partitions of one exchange of retention job:
// in memory as they came while there is room, then on local disk, then in a directory of any
// file system (ADR 0013).
//
// A run is what one attempt of a lane wrote: blocks, one list a partition. The
// first attempt of a lane that is sealed wins the lane; runs of others are
// discarded. Sealed runs are immutable and read as often as one likes.
//
//	memory   --largest partition-->   packs on disk   --sealed lanes-->   objects
//	Tier.MemoryBytes                  quota, Disk                         RemoteOptions
//
// Memory is a Tier's, which several stores share. A store that gets no room
// there writes its largest partition to disk, or, if it holds nothing, the new
// block itself; so memory stays within the tier's limit whoever is slow.
//
// Disk: each store appends to pack files of its own, opened through an os.Root
// and so confined to the spill directory. A pack is removed when nothing in it is read any
// more, and by Close; ranges in it are given back before that where the system can (punch). A
// block is self-contained: any block can be read alone, in any order.
//
// Remote, if there is such a tier: when so much of the disk is taken, or a write finds it
// full, its goroutine (mover) writes blocks of sealed lanes into one object, those first that
// have been neither sealed nor read for the longest time. An object has the blocks of a
// partition side by side, as they were on disk. When it is durable, and not before, the
// blocks are read from there and their ranges of packs are given back. What fails is logged,
// counted and tried again; what is on disk stays. Appends wait for room meanwhile, for some
// time. The path is RemoteOptions.Dir/store/object, both numbers. Close has the store's
// directory removed, and Tier.Close all.
//
// A block's bytes are those of shuffle/wire: what arrived in wire form is written as it is,
// and stays so when it is read back, from wherever.
//
// Checked on read: each block's checksum, and, by the reader of a run, rows,
// bytes and digest of all its blocks against the manifest. What differs is
// shuffle.ErrDataLoss, never a short read. It damages the lane: nobody reads it any more,
// and the next attempt that is sealed takes its place. The others are as they were. A
// remote tier that does not answer is no loss: the reader is told to try again.
//
// Blocks are read without a lock. One that moves or goes while it is read is looked up
// again before anything is said of it.
//
// Locks: a store's lock is held while it writes its files, and while it changes where
// blocks are; it is taken before the tier's and the mover's, which are leaves.
package partition
