package session

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/stream"
)

// index knows the sessions of each key, and when sessions end.
type index struct {
	keys    *hashtable.Table
	account stream.Account
	charged int64

	first []int32 // by key: its latest session, -1
	next  []int32 // by session: the one of its key before it, -1
	key   []int32 // by session

	width   int64
	buckets map[int64][]int32 // sessions, by the time until which they surely go on
	bucket  []int64           // by session: the one that it is in
}

// none is the bucket of what is no session.
const none = -1 << 63

// bytesEach is what a session takes in the index; a key takes less.
const bytesEach = 4 + 4 + 8 + 4

// resolve gives keys their slots.
func (x *index) resolve(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error {
	if err := x.keys.Resolve(keys, sel, hashes, slots); err != nil {
		return err
	}
	n := x.keys.Len() - len(x.first)
	if n <= 0 {
		return nil
	}
	if err := x.charge(4 * int64(n)); err != nil {
		return err
	}
	for range n {
		x.first = append(x.first, -1)
	}
	return nil
}

// grow makes room for sessions below n.
func (x *index) grow(n int) error {
	if n <= len(x.key) {
		return nil
	}
	if err := x.charge(bytesEach * int64(n-len(x.key))); err != nil {
		return err
	}
	for len(x.key) < n {
		x.next, x.key, x.bucket = append(x.next, -1), append(x.key, -1), append(x.bucket, none)
	}
	return nil
}

func (x *index) charge(n int64) error {
	if err := x.account.Grow(n); err != nil {
		return err
	}
	x.charged += n
	return nil
}

// add lists a session of a key, the latest first, which new ones mostly are.
func (x *index) add(session, key int32, start []int64) {
	at := &x.first[key]
	for *at >= 0 && start[*at] > start[session] {
		at = &x.next[*at]
	}
	x.key[session], x.next[session] = key, *at
	*at = session
}

// remove forgets a session.
func (x *index) remove(session int32) {
	key := x.key[session]
	at := &x.first[key]
	for *at != session {
		at = &x.next[*at]
	}
	*at = x.next[session]
	x.next[session], x.key[session], x.bucket[session] = -1, -1, none
}

// forget drops keys without sessions, of some that may come more than once.
func (x *index) forget(keys []int32) {
	var gone []int32
	for _, k := range keys {
		if x.first[k] == -1 {
			x.first[k] = -2
			gone = append(gone, k)
		}
	}
	for _, k := range gone {
		x.first[k] = -1
	}
	x.keys.Remove(gone)
}

// expire puts a session into the bucket of its end, unless it is in an earlier one.
func (x *index) expire(session int32, end int64) {
	b := end / x.width
	if end%x.width < 0 {
		b--
	}
	b *= x.width
	if at := x.bucket[session]; at != none && at <= b {
		return
	}
	if x.buckets == nil {
		x.buckets = map[int64][]int32{}
	}
	x.bucket[session] = b
	x.buckets[b] = append(x.buckets[b], session)
}

func (x *index) release() {
	if x.keys != nil {
		x.keys.Release()
	}
	if x.charged > 0 {
		x.account.Shrink(x.charged)
	}
	x.charged = 0
}
