package updatejoin

import (
	"math"
	"slices"

	"github.com/tidemill/tidemill/core/stream"
)

// maxBuckets is how many buckets of time an expiry has at most.
const maxBuckets = 256

// entryBytes is charged for each row in a bucket, which may have grown to twice that.
const entryBytes = 8

// never is due of a row that is not to be forgotten, or not there.
const never = math.MinInt64

// expiry knows when rows are to be forgotten: buckets of a power of two of
// milliseconds, twice as long where there would be too many, and for each row when it
// is due. A bucket may list rows that have gone, or numbers that have since been given
// to others: of those that due does not put there.
//
//	due      row -> milliseconds
//	buckets  due >> shift -> rows
//
// A nil expiry holds nothing.
type expiry struct {
	account stream.Account
	charged int64
	shift   uint
	due     []int64
	buckets map[int64]*bucket
}

type bucket struct {
	rows []int32
	live int // rows that are due in it
}

func newExpiry(account stream.Account) *expiry {
	return &expiry{account: account, buckets: map[int64]*bucket{}}
}

// add notes when rows are due. Where it fails nothing is noted.
func (e *expiry) add(rows []int32, due []int64) error {
	if len(rows) == 0 {
		return nil
	}
	room := int(slices.Max(rows)) + 1
	if room > cap(e.due) {
		room = max(room, 2*cap(e.due))
	} else {
		room = cap(e.due)
	}
	bytes := int64(len(rows))*entryBytes + int64(room-cap(e.due))*8
	if err := e.account.Grow(bytes); err != nil {
		return err
	}
	e.charged += bytes
	if room > cap(e.due) {
		grown := make([]int64, room)
		for i := copy(grown, e.due); i < room; i++ {
			grown[i] = never
		}
		e.due = grown
	}
	e.put(rows, due)
	for len(e.buckets) > maxBuckets {
		e.coarsen()
	}
	return nil
}

func (e *expiry) put(rows []int32, due []int64) {
	var key int64
	var last *bucket
	for i, r := range rows {
		e.due[r] = due[i]
		if k := due[i] >> e.shift; last == nil || k != key {
			key, last = k, e.buckets[k]
			if last == nil {
				last = &bucket{}
				e.buckets[k] = last
			}
			e.tidy(key, last)
		}
		last.rows = append(last.rows, r)
		last.live++
	}
}

// tidy drops what a bucket lists in vain where that is more than the half.
func (e *expiry) tidy(key int64, b *bucket) {
	if len(b.rows) > 2*b.live+maxBuckets {
		_, kept := e.divide(key, b, never)
		e.list(b, kept)
	}
}

// divide returns those rows of a bucket that are due at limit, which are then no
// longer, and the others, each once.
func (e *expiry) divide(key int64, b *bucket, limit int64) (due, kept []int32) {
	var dues []int64
	for _, r := range b.rows {
		at := e.due[r]
		if at == never || at>>e.shift != key {
			continue
		}
		if e.due[r] = never; at <= limit {
			due = append(due, r)
			continue
		}
		kept, dues = append(kept, r), append(dues, at)
	}
	for i, r := range kept {
		e.due[r] = dues[i]
	}
	return due, kept
}

// list gives a bucket other rows, all of which are due in it.
func (e *expiry) list(b *bucket, rows []int32) {
	e.shrink(int64(len(b.rows)-len(rows)) * entryBytes)
	b.rows, b.live = rows, len(rows)
}

// coarsen makes buckets twice as long.
func (e *expiry) coarsen() {
	old := e.buckets
	e.shift++
	e.buckets = make(map[int64]*bucket, len(old))
	for key, b := range old {
		to := e.buckets[key>>1]
		if to == nil {
			e.buckets[key>>1] = b
			continue
		}
		to.rows = append(to.rows, b.rows...)
		to.live += b.live
	}
}

// take returns the rows that are due at limit, and forgets them.
func (e *expiry) take(limit int64) (out []int32) {
	var keys []int64
	for key := range e.buckets {
		if key <= limit>>e.shift {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		b := e.buckets[key]
		due, kept := e.divide(key, b, limit)
		out = append(out, due...)
		if e.list(b, kept); len(kept) == 0 {
			delete(e.buckets, key)
		}
	}
	return out
}

// forget says that rows have gone.
func (e *expiry) forget(rows []int32) {
	if e == nil {
		return
	}
	for _, r := range rows {
		if at := e.due[r]; at != never {
			e.buckets[at>>e.shift].live--
			e.due[r] = never
		}
	}
}

func (e *expiry) shrink(bytes int64) {
	e.charged -= bytes
	e.account.Shrink(bytes)
}

// release gives the memory back.
func (e *expiry) release() {
	if e != nil {
		e.shrink(e.charged)
		e.due, e.buckets = nil, nil
	}
}
