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
// Accounts that can spill say so with Contend. Their Share tells them when to: the
// ledger is past three quarters of its limit and they use more than their part.
// While there are such accounts, the last eighth of the limit is theirs; others
// that find no room wait for them to make some. Of accounts that can spill only
// those wait that use less than half of what another does, or next to nothing, so
// that the largest goes on; and nobody waits longer than the ledger's patience while nothing at
// all is given back.
//
// Concurrency: everything may be used by any goroutine. The locks of free lists and
// of those who wait are leaves: nothing else is taken under them. Charging takes no
// lock unless it waits; whoever charges must hold none that spilling takes.
package memory
