// Package memory is the byte ledger of a worker: one limit, a tree of named
// accounts below it, and Arrow allocators that charge an account by themselves.
//
//	Ledger (limit: the worker's one number)
//	  +-- shuffle
//	  +-- job 5f2a...
//	        +-- task 3.1#0
//	              +-- aggregate      an operator's Context.Memory and Context.Alloc
//
// Charging an account charges all accounts above it, all or nothing. An account
// with a limit of its own refuses beyond it; one without is bounded by what is
// above. A refusal is an *ExhaustedError: it names the account, what it wanted,
// what is used, the limit that was hit and the option that raises that limit.
//
// Arrow's allocator interface cannot return an error. An accounted allocator that
// is refused panics with the *ExhaustedError; a goroutine that uses one defers
// Recover, which turns that panic, and no other, back into the error.
//
// Buffers are 64-byte aligned, zeroed, and rounded up to a size class; what is
// charged is the class, which is the capacity of the slice. Freed buffers are kept in
// bounded free lists by class, and lent again to any account. Idle buffers stay
// charged to the ledger, so that the one number holds for the whole process;
// they are dropped before anybody is refused. With the build tag `invariants` a
// freed buffer is filled with Poison and freeing it twice panics.
//
// # Who gives way
//
// Nothing that can be done with less memory fails for want of it: it waits, and who
// can make room is told. There are three kinds of accounts, by what they can do:
//
//	       0 .................. mark ............ 7/8 ....... 15/16 ........ limit
//	loans  |-------- scans: what is read of a file -->|
//	others |-------- batches under way: exchanges, expressions ----->|
//	shares |-- spill when past it -->|-- while they spill: up to the limit ------->|
//
// Accounts that can spill say so with Contend. Their Share tells them when to: the
// ledger is past its mark and they use more than their part, or somebody waits. Of
// them only those wait that use less than half of what another does, or next to
// nothing, so that the largest goes on.
//
// Accounts of work that can be done again say so with Borrow: a scan can read its row
// group once more. They are refused first. A Loan waits a moment while it holds
// something, then its owner gives all of it back and waits for all it needs with
// Prepay: so no two scans wait for what the other holds, and whoever was promised
// memory gets to its next batch. A loan is also given back while its task waits for
// credit, or for memory for the batch under way (Meanwhile), if somebody waits.
//
// Everything else is in batches under way, which are few and, where the limit is
// small, small: they find their room above where loans stop. Where there are no loans
// others stop at 7/8; where there are neither, everything may be used.
//
// So there is always somebody to go on: the reserve lets spilling go on; spilling
// leaves room for batches under way; a reader of an exchange that goes on gives credit;
// and scans that wait hold nothing. Nobody waits longer than the ledger's patience
// while nothing at all is given back: that is a task that holds what it cannot spill.
//
// Concurrency: everything may be used by any goroutine. The locks of free lists and
// of those who wait are leaves: nothing else is taken under them. Charging takes no
// lock unless it waits; whoever charges must hold none that spilling takes.
package memory
