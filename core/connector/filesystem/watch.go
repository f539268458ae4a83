package filesystem

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/core/failure"
)

// ledger is what the enumerator of a table that grows has seen: files by the hashes of their
// paths. Those that are gone from the table are forgotten, so it is never larger than the
// table; a file that comes again under their name is another one.
type ledger struct {
	every time.Duration
	due   time.Time // when to look again
	seen  map[xxh3.Uint128]struct{}
	now   func() time.Time
}

// newLedger returns that of a table which is looked at so often; nil: just once.
func newLedger(every time.Duration) *ledger {
	if every == 0 {
		return nil
	}
	return &ledger{every: every, seen: map[xxh3.Uint128]struct{}{}, now: time.Now}
}

// wait is the time until the table is looked at again.
func (l *ledger) wait() time.Duration { return l.due.Sub(l.now()) }

// enter notes what there is now and returns what is new, the oldest first.
func (l *ledger) enter(files []file) (fresh []file) {
	now := make(map[xxh3.Uint128]struct{}, len(files))
	for _, f := range files {
		key := xxh3.HashString128(f.info.Path)
		now[key] = struct{}{}
		if _, known := l.seen[key]; !known {
			fresh = append(fresh, f)
		}
	}
	l.seen = now
	slices.SortStableFunc(fresh, func(a, b file) int { return a.info.ModTime.Compare(b.info.ModTime) })
	return fresh
}

const hashBytes = 16

// snapshot is the ledger, in no order.
func (l *ledger) snapshot() []byte {
	if l == nil {
		return nil
	}
	data := make([]byte, 0, hashBytes*len(l.seen))
	for key := range l.seen {
		data = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(data, key.Hi), key.Lo)
	}
	return data
}

func (l *ledger) restore(data []byte) {
	for part := range slices.Chunk(data, hashBytes) {
		if len(part) == hashBytes {
			l.seen[xxh3.Uint128{Hi: binary.LittleEndian.Uint64(part), Lo: binary.LittleEndian.Uint64(part[8:])}] = struct{}{}
		}
	}
}

// look finds the files to read: all that there are, or those that have come since it was
// done last.
func (e *enumerator) look(ctx context.Context) error {
	files, err := e.loc.list(ctx)
	if e.ledger != nil {
		e.ledger.due = e.ledger.now().Add(e.ledger.every)
		if failure.Of(err) == failure.NotFound { // not yet, or for a moment
			return nil
		}
	}
	if err != nil {
		return err
	}
	if e.ledger != nil {
		files = e.ledger.enter(files)
	}
	if e.files, err = prune(files, e.spec.Table.Schema, e.spec.Table.Partitions, e.spec.Predicate); err != nil {
		return err
	}
	e.aim()
	return nil
}
