package raftmeta

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// OpKind says what one operation of a transaction does.
type OpKind uint8

// The kinds of operations. Their numbers are in the log and never change.
const (
	OpInvalid OpKind = 0
	// OpPut writes Value if Expect holds.
	OpPut OpKind = 1
	// OpDelete removes the key if Expect holds; with Any a missing key is fine.
	OpDelete OpKind = 2
	// OpCheck changes nothing and requires that Expect holds.
	OpCheck OpKind = 3
)

func (k OpKind) String() string {
	switch k {
	case OpPut:
		return "put"
	case OpDelete:
		return "delete"
	case OpCheck:
		return "check"
	}
	return "invalid"
}

// Op is one operation of a transaction.
type Op struct {
	Kind   OpKind
	Bucket Bucket
	Key    string
	Value  []byte
	Expect Revision
}

// Txn is a list of operations that happen together or not at all. All
// expectations are compared with the state before the transaction; no key may
// be named twice, except by checks.
type Txn struct {
	// Term, unless zero, is the leadership under which the caller acts.
	Term id.Term
	Ops  []Op
}

// Put adds a write and returns the transaction.
func (t Txn) Put(b Bucket, key string, value []byte, expect Revision) Txn {
	t.Ops = append(t.Ops, Op{Kind: OpPut, Bucket: b, Key: key, Value: value, Expect: expect})
	return t
}

// Delete adds a removal and returns the transaction.
func (t Txn) Delete(b Bucket, key string, expect Revision) Txn {
	t.Ops = append(t.Ops, Op{Kind: OpDelete, Bucket: b, Key: key, Expect: expect})
	return t
}

// Check adds a condition and returns the transaction.
func (t Txn) Check(b Bucket, key string, expect Revision) Txn {
	t.Ops = append(t.Ops, Op{Kind: OpCheck, Bucket: b, Key: key, Expect: expect})
	return t
}

// Put writes one entry outside of any term.
func Put(ctx context.Context, s Store, b Bucket, key string, value []byte, expect Revision) (Revision, error) {
	return s.Apply(ctx, Txn{}.Put(b, key, value, expect))
}

// Delete removes one entry outside of any term.
func Delete(ctx context.Context, s Store, b Bucket, key string, expect Revision) (Revision, error) {
	return s.Apply(ctx, Txn{}.Delete(b, key, expect))
}

// Limits bound what one transaction carries through the log.
type Limits struct {
	// ValueBytes bounds a value; zero means 64 KiB.
	ValueBytes int
	// KeyBytes bounds a key and a bucket's name; zero means 512.
	KeyBytes int
	// Ops bounds the operations of a transaction; zero means 256.
	Ops int
	// TxnBytes bounds keys and values of a transaction; zero means 1 MiB.
	TxnBytes int
}

// Complete returns the limits with defaults for zeros.
func (l Limits) Complete() Limits {
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&l.ValueBytes, 64<<10)
	set(&l.KeyBytes, 512)
	set(&l.Ops, 256)
	set(&l.TxnBytes, 1<<20)
	return l
}

// Check says what of a transaction is malformed or beyond the limits.
func (l Limits) Check(t Txn) error {
	if len(t.Ops) > l.Ops {
		return tooLarge("transaction of %d operations: the limit is %d", len(t.Ops), l.Ops)
	}
	type place struct {
		bucket Bucket
		key    string
	}
	written, size := map[place]bool{}, 0
	for _, op := range t.Ops {
		at := place{op.Bucket, op.Key}
		switch {
		case op.Kind < OpPut || op.Kind > OpCheck || op.Bucket == "" || op.Key == "":
			return failure.Errorf(failure.Internal, "%v of %s/%s: %w", op.Kind, op.Bucket, op.Key, ErrMalformed)
		case op.Kind != OpCheck && written[at]:
			return failure.Errorf(failure.Internal, "%v of %s/%s: %w: written twice", op.Kind, op.Bucket, op.Key, ErrMalformed)
		case len(op.Key) > l.KeyBytes || len(op.Bucket) > l.KeyBytes:
			return tooLarge("key of %d bytes in bucket %.64q: the limit is %d", len(op.Key), string(op.Bucket), l.KeyBytes)
		case len(op.Value) > l.ValueBytes:
			return tooLarge("value of %d bytes for %s/%s: the limit is %d; keep it as a blob and its name here",
				len(op.Value), op.Bucket, op.Key, l.ValueBytes)
		}
		written[at] = written[at] || op.Kind != OpCheck
		size += len(op.Key) + len(op.Bucket) + len(op.Value)
	}
	if size > l.TxnBytes {
		return tooLarge("transaction of %d bytes: the limit is %d", size, l.TxnBytes)
	}
	return nil
}

func tooLarge(format string, args ...any) error {
	return failure.Wrap(failure.Fatal, fmt.Errorf("%w: "+format, append([]any{ErrTooLarge}, args...)...))
}

// The errors that callers tell apart with errors.Is.
var (
	// ErrNotFound says that the key does not exist.
	ErrNotFound = errors.New("metadata not found")
	// ErrConflict says that a key was not at the expected revision.
	ErrConflict = errors.New("metadata conflict")
	// ErrFenced says that the caller's leadership is over: it stops acting.
	ErrFenced = errors.New("fenced: leadership is over")
	// ErrNotLeader says that this master does not lead; nothing happened.
	ErrNotLeader = errors.New("not the leader")
	// ErrUnknown says that leadership was lost while a transaction was under
	// way: it may have happened.
	ErrUnknown = errors.New("outcome unknown: leadership was lost")
	// ErrTooLarge says that a value, key or transaction is beyond the limits.
	ErrTooLarge = errors.New("metadata too large")
	// ErrMalformed says that a transaction is not well formed.
	ErrMalformed = errors.New("malformed transaction")
	// ErrCorrupt says that the log or a snapshot is damaged, or newer than
	// this program: the store stops serving.
	ErrCorrupt = errors.New("metadata log corrupt")
	// ErrClosed says that the store or watcher was closed.
	ErrClosed = errors.New("metadata store closed")
)

// ConflictError says which expectation of a transaction did not hold; it is
// ErrConflict.
type ConflictError struct {
	Bucket   Bucket
	Key      string
	Expected Revision
	Actual   Revision // Absent if the key does not exist
}

func (e *ConflictError) Error() string {
	name := func(r Revision) string {
		if r == Absent {
			return "absent"
		}
		return fmt.Sprintf("at revision %d", r)
	}
	return fmt.Sprintf("%v: %s/%s is %s, expected %s", ErrConflict, e.Bucket, e.Key, name(e.Actual), name(e.Expected))
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }
