package pebblestate

import (
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// partKeys is how many keys are worth a goroutine of their own; where each may wait for
// another machine, remotePartKeys.
const (
	partKeys       = 32
	remotePartKeys = 4
)

// part is keys that one goroutine looks up, and what it has found: a record may be used
// once all have ended.
type part struct {
	keys    [][]byte
	at      []int // positions in keys, ascending
	ends    []int // of their records
	records []byte
	err     error
}

// get looks keys up, some at a time, and hands out their records in order.
func get(from pebble.Reader, prefix [4]byte, keys [][]byte, o Options, do func(i int, record []byte) error) error {
	worth := partKeys
	if o.Remote != nil {
		worth = remotePartKeys
	}
	n := max(min(o.Lookups, len(keys)/worth), 1)
	parts := make([]part, n)
	var reading sync.WaitGroup
	for i := range parts {
		parts[i].keys = keys[i*len(keys)/n : (i+1)*len(keys)/n]
		if i < n-1 {
			reading.Go(func() { parts[i].read(from, prefix) })
		}
	}
	parts[n-1].read(from, prefix)
	reading.Wait()
	for i := range parts {
		if err := parts[i].give(i*len(keys)/n, do); err != nil {
			return err
		}
	}
	return nil
}

// read fills the part. An iterator over ascending keys opens fewer files, but reads each
// older record of a key, too: a third more bytes, and no less time.
func (p *part) read(from pebble.Reader, prefix [4]byte) {
	key := append([]byte(nil), prefix[:]...)
	for i, k := range p.keys {
		key = append(key[:len(prefix)], k...)
		record, closer, err := from.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err == nil {
			p.records = append(p.records, record...)
			p.at, p.ends = append(p.at, i), append(p.ends, len(p.records))
			err = closer.Close()
		}
		if err != nil {
			p.err = err
			return
		}
	}
}

// give hands out what was found, of keys that begin at position first.
func (p *part) give(first int, do func(i int, record []byte) error) error {
	if p.err != nil {
		return p.err
	}
	from := 0
	for j, i := range p.at {
		if err := do(first+i, p.records[from:p.ends[j]]); err != nil {
			return err
		}
		from = p.ends[j]
	}
	return nil
}
