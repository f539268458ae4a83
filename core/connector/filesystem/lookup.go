package filesystem

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
)

// rowBytes is what the index takes for a row and a key beside the table of keys.
const rowBytes = 16

var _ connector.Looker = (*Connector)(nil)

// lookup finds the rows of keys in memory: files have no other order. It reads the whole
// table before the first answer and, as its options say, every so often anew; without a
// full cache before each.
type lookup struct {
	c        *Connector
	loc      location
	spec     connector.SourceSpec
	keys     []int
	env      connector.LookupEnv
	settings connector.LookupSettings

	index  *index // nil: not read
	hashes []uint64
	slots  []int32
	picks  []compute.Pick
}

// Lookup implements connector.Looker.
func (c *Connector) Lookup(_ context.Context, s connector.SourceSpec, keys []int, env connector.LookupEnv) (connector.Lookup, error) {
	loc, err := c.locate(s.Table)
	if err != nil {
		return nil, err
	}
	settings, err := connector.ParseLookup(s.Table, connector.FullCache)
	if err != nil {
		return nil, err
	}
	return &lookup{c: c, loc: loc, spec: s, keys: keys, env: env, settings: settings}, nil
}

// Find implements connector.Lookup.
func (l *lookup) Find(ctx context.Context, keys []arrow.Array, n int) (arrow.RecordBatch, []int32, error) {
	if err := l.fresh(ctx); err != nil {
		return nil, nil, fmt.Errorf("read table %s to look rows up: %w", l.spec.Table.Name, err)
	}
	l.hashes = compute.HashColumns(keys, nil, l.hashes)
	if cap(l.slots) < n {
		l.slots = make([]int32, n)
	}
	l.slots, l.picks = l.slots[:n], l.picks[:0]
	x := l.index
	if err := x.table.Find(keys, nil, l.hashes, l.slots); err != nil {
		return nil, nil, err
	}
	var of []int32
	for i, slot := range l.slots {
		if slot < 0 {
			continue
		}
		for r := x.first[slot]; r >= 0; r = x.next[r] {
			of, l.picks = append(of, int32(i)), append(l.picks, x.rows[r])
		}
	}
	if len(of) == 0 {
		b := array.NewRecordBuilder(l.env.Alloc, l.spec.Columns.Arrow())
		defer b.Release()
		return b.NewRecordBatch(), nil, nil
	}
	rows, err := compute.InterleaveRecords(l.env.Alloc, x.records, l.picks)
	return rows, of, err
}

// fresh reads the table if it has to be.
func (l *lookup) fresh(ctx context.Context) error {
	now := l.env.Now()
	if l.index != nil && l.settings.Cache == connector.FullCache && (l.settings.Reload == 0 || now.Sub(l.index.at) < l.settings.Reload) {
		return nil
	}
	x, err := l.read(ctx, now)
	if err != nil {
		if failure.Of(err) == failure.Conflict { // a file was replaced meanwhile
			err = failure.Errorf(failure.Transient, "%w", err)
		}
		return err
	}
	l.index.release()
	l.index = x
	return nil
}

func (l *lookup) read(ctx context.Context, now time.Time) (_ *index, err error) {
	x, err := newIndex(l.spec.Columns, l.keys, l.env, now)
	if err != nil {
		return nil, err
	}
	e, err := newEnumerator(ctx, l.c, l.loc, l.spec, nil)
	if err != nil {
		x.release()
		return nil, err
	}
	r := newReader(l.c, l.loc, l.spec, connector.ReaderEnv{Alloc: l.env.Alloc, BatchRows: l.env.BatchRows, Now: l.env.Now})
	defer func() {
		if err = errors.Join(err, e.Close(), r.Close()); err != nil {
			x.release()
		}
	}()
	for {
		b, wait, err := r.Poll(ctx)
		switch {
		case err != nil:
			return nil, err
		case b != nil:
			if err := x.add(b.Record); err != nil {
				return nil, err
			}
		case wait == connector.ForSplit:
			split, more, err := e.Next(ctx, l.env.Subtask)
			if err != nil || !more {
				return x, err
			}
			if err := r.Add(split); err != nil {
				return nil, err
			}
		}
	}
}

// Close implements connector.Lookup.
func (l *lookup) Close() error {
	l.index.release()
	l.index = nil
	return nil
}

// index is a table in memory: its rows in lists by key.
//
//	key --table--> slot --first--> row --next--> row ...
type index struct {
	keys    []int
	env     connector.LookupEnv
	at      time.Time
	table   *hashtable.Table
	records []arrow.RecordBatch
	rows    []compute.Pick
	first   []int32 // by slot
	last    []int32
	next    []int32 // by row; -1 ends a list
	charged int64
	slots   []int32
}

func newIndex(columns datatype.Schema, keys []int, env connector.LookupEnv, at time.Time) (*index, error) {
	var schema datatype.Schema
	for _, k := range keys {
		schema = append(schema, columns[k])
	}
	table, err := hashtable.New(schema, nil, env.Account)
	if err != nil {
		return nil, err
	}
	return &index{keys: keys, env: env, at: at, table: table}, nil
}

// add takes rows; it owns record. Rows with a null among their keys are never found.
func (x *index) add(record arrow.RecordBatch) error {
	x.records = append(x.records, record)
	n := int(record.NumRows())
	if len(x.rows)+n > math.MaxInt32 {
		return failure.Errorf(failure.Fatal, "it has more than %d rows, which is the most that are kept to look up", math.MaxInt32)
	}
	bytes := int64(n) * 2 * rowBytes
	if err := x.env.Account.Grow(bytes); err != nil {
		return err
	}
	x.charged += bytes
	columns := make([]arrow.Array, len(x.keys))
	for i, k := range x.keys {
		columns[i] = record.Column(k)
	}
	sel := compute.NotNull(columns, nil)
	hashes := compute.HashColumns(columns, sel, nil)
	if cap(x.slots) < n {
		x.slots = make([]int32, n)
	}
	x.slots = x.slots[:len(hashes)]
	if err := x.table.Resolve(columns, sel, hashes, x.slots); err != nil {
		return err
	}
	for i, slot := range x.slots {
		at := int32(i)
		if sel != nil {
			at = sel[i]
		}
		x.append(slot, compute.Pick{Source: int32(len(x.records) - 1), Row: at})
	}
	return nil
}

func (x *index) append(slot int32, row compute.Pick) {
	r := int32(len(x.rows))
	x.rows, x.next = append(x.rows, row), append(x.next, -1)
	if int(slot) == len(x.first) { // slots are given in turn
		x.first, x.last = append(x.first, r), append(x.last, r)
		return
	}
	x.next[x.last[slot]], x.last[slot] = r, r
}

// release gives the memory back; nil holds none.
func (x *index) release() {
	if x == nil {
		return
	}
	for _, r := range x.records {
		r.Release()
	}
	x.table.Release()
	x.env.Account.Shrink(x.charged)
	x.records, x.charged = nil, 0
}
