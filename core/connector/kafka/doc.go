// Package kafka reads and writes topics of Apache Kafka.
//
// Source. A split is a partition and the offset to go on from. The enumerator lists the
// topics' partitions, looks for new ones every so often and gives each to one subtask;
// there is no consumer group, and nobody rebalances. A reader fetches its partitions
// with one client, whose goroutine hands over what has come, and decodes messages of one
// partition at a time with the table's format, many at once: where that fails it halves
// them until it has found the message that is wrong. Positions are offsets, so a restored
// reader reads on exactly; of transactions it reads the committed ones.
//
//	client's goroutines -> fetching -> Poll: partition by partition -> batches
//
// An offset that the topic does not have any more is an error, unless the table says
// where to go on. A topic or a broker that is away is waited for, up to a limit.
//
// Sink. Exactly-once is a transaction for each writer and checkpoint. Prepare flushes and
// names the transaction in a committable: its id, producer id and epoch are all that
// anybody needs to end it. The committer does, from a client of its own, as often as it
// is asked: a transaction that is committed already says so.
//
//	Write ... Prepare          Commit (another process, maybe later)
//	[transaction n    ] . . . . . EndTxn
//	                   [transaction n+1 ...
//
// A transaction that the broker has ended by itself, for it was left open for longer than
// transaction.timeout.ms, is lost rows: the committer looks whether its first message is
// there, and if not fails with the offsets that are gone. Transactional ids are
// PREFIX-JOB-VERTEX-SUBTASK-ATTEMPT-NONCE-NUMBER; those of a writer are used again once
// they are committed and so many others have followed that nobody asks for them any more.
// A new attempt aborts what former ones of its subtask have left open, except what the
// checkpoint that it goes on from has prepared.
//
// The connector upsert-kafka reads and writes changes by primary key: the key is the message's
// key, a deleted row is a message without value. What is read begins with a topic's first
// message and takes nothing back; whoever reads makes full changes of it.
//
// Owners: a reader's goroutine belongs to it, and Close waits for it; clients are closed
// by whoever made them. What clients hold is bounded, and charged as a whole when they are
// made.
package kafka
