// Package hdfs is Hadoop's file system, through github.com/colinmarc/hdfs. A
// FileSystem is every cluster that can be reached; each has a bounded set of
// clients, found through Hadoop's own XML (Conf).
//
//	Create   mkdirs DIR/.tm-X
//	Write    DIR/.tm-X/1, 2, ...: one part a block
//	Commit   close the last part; concat all onto the first; rename it to DIR/NAME; remove DIR/.tm-X
//	Persist  close the last part; the token is DIR/.tm-X/COUNT
//	Resume   remove the parts after COUNT
//
// A closed part is durable on its datanodes; nothing less is, for the library's
// Flush waits for nobody. Only the namenode decides, in one step each: who
// creates a file (a rename that replaces nothing), and what concat joined.
//
// # Reading
//
// The blocks of a file are located once, by the file's number, and ranges of them
// read from datanodes directly (internal/datanode), each from the first replica
// that gives it: one that dies is followed by the next in the middle of a range,
// and asked last for ten minutes. Package readahead decides what is read when. Data
// that travels with a key (Kerberos) is read through the library.
//
// # What the library lacks
//
// Its defects, each named by a test with the tag storage, and what is done:
//
//	Flush is not hflush                 durable means that a part was closed
//	readers do not see the open block   only closed files are ever read
//	Close says that it is replicating   asked again until it is there
//	a second block is refused           a part has one block
//	no recovery of the pipeline         the part is written anew while its bytes are kept, else a transient error
//	integrity, privacy without AES      refused by name
//	failover takes up to 10 s, or fails calls are tried for 30 s with new clients, the dead namenode last
//	no time limit on a call             connections with deadlines
//	one call at a time                  several clients
//	ReadAt beyond the end, in parallel  read without it, or a reader for each read
//	a connection for each block read    kept, and reused for 3 s
//	Kerberos only with a ticket in code login from a keytab
//
// A call whose answer was lost may have been carried out: before it is tried again
// its effect is looked for.
//
// # Locks
//
// FileSystem.mu guards the map of clusters. In a cluster, dial comes before mu;
// client.first, client.last, client.link and lines.mu are taken alone, file.mu and guarded.mu
// before cluster.mu.
package hdfs
