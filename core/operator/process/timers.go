package process

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/state"
)

// stretch is the milliseconds of a namespace of timers, as a power of two.
const stretch = 10

// timers are those of one clock. Operations are held back until the end of a batch.
type timers struct {
	rt     *Runtime
	domain Domain
	table  state.Table
	spaces []int64         // that exist, ascending
	first  map[int64]int64 // by namespace: no timer of it is earlier

	ops    []timerOp
	set    int64 // the earliest that ops set
	unset  int64 // the latest that ops take back
	slot   [1]int32
	times  []int64
	places []int32
}

// timerOp sets a timer of a key, by its number, or takes it back.
type timerOp struct {
	key int32
	at  int64
	set bool
}

// dueTimers are timers that fire next, in order.
type dueTimers struct {
	keys []arrow.Array
	at   []int64
}

func (d *dueTimers) release() { compute.ReleaseAll(d.keys) }

func newTimers(r *Runtime, d Domain, number uint16) (*timers, error) {
	t := &timers{rt: r, domain: d, first: map[int64]int64{}}
	t.settle()
	var err error
	t.table, err = r.backend.Table(state.TableSpec{
		ID: number, Name: "timers of " + d.String(), Keys: r.keys.schema, Values: datatype.Schema{{Name: "times", Type: bytes}}, Named: true,
	})
	if err != nil {
		return nil, err
	}
	for _, ns := range t.table.Namespaces() {
		t.spaces, t.first[ns] = append(t.spaces, ns), ns<<stretch
	}
	return t, nil
}

// note holds back that the timer of a key is set, or taken back.
func (t *timers) note(key int32, at int64, set bool) {
	t.ops = append(t.ops, timerOp{key, at, set})
	if set {
		t.set = min(t.set, at)
	} else {
		t.unset = max(t.unset, at)
	}
}

// fired holds back that a timer has fired.
func (t *timers) fired(key int32, at int64) { t.ops = append(t.ops, timerOp{key, at, false}) }

// changed says that a timer was set before, or taken back behind, one at a time that was
// about to fire: what is due has to be looked for again.
func (t *timers) changed(at int64) bool { return t.set < at || t.unset >= at }

// settle forgets the operations.
func (t *timers) settle() { t.ops, t.set, t.unset = t.ops[:0], math.MaxInt64, math.MinInt64 }

// write carries the operations out.
func (t *timers) write() error {
	defer t.settle()
	for _, op := range t.ops {
		if err := t.apply(op); err != nil {
			return fmt.Errorf("timers of %s: %w", t.domain, err)
		}
	}
	return nil
}

func (t *timers) apply(op timerOp) error {
	ns := op.at >> stretch
	if _, ok := t.first[ns]; !ok {
		if !op.set {
			return nil
		}
		t.spaces, t.first[ns] = insert(t.spaces, ns), op.at
	}
	rows, err := t.table.Namespace(ns)
	if err != nil {
		return err
	}
	k := &t.rt.keys
	lookup := rows.Find
	if op.set {
		lookup = rows.Resolve
	}
	if err := lookup(k.arrays, k.heads[op.key:op.key+1], k.headSum[op.key:op.key+1], t.slot[:]); err != nil || t.slot[0] < 0 {
		return err
	}
	column := rows.Values()[0]
	old := column.Bytes[t.slot[0]]
	if t.times, err = decodeTimes(t.times[:0], old); err != nil {
		return err
	}
	if op.set {
		t.first[ns] = min(t.first[ns], op.at)
		t.times = insert(t.times, op.at)
	} else if i, found := slices.BinarySearch(t.times, op.at); found {
		t.times = slices.Delete(t.times, i, i+1)
	}
	if len(t.times) == 0 {
		t.rt.charge(-int64(len(old)))
		rows.Remove(t.slot[:])
		return nil
	}
	rows.Touch(t.slot[:])
	encoded := encodeTimes(t.times)
	t.rt.charge(int64(len(encoded) - len(old)))
	column.Bytes[t.slot[0]], column.Valid[t.slot[0]] = encoded, true
	return nil
}

// due returns the timers of a namespace that are due, at most so many; nil where there are
// none.
func (t *timers) due(upTo int64, most int) (*dueTimers, error) {
	if t == nil {
		return nil, nil
	}
	for len(t.spaces) > 0 {
		ns := t.spaces[0]
		if t.first[ns] > upTo {
			return nil, nil
		}
		d, later, err := t.look(ns, upTo, most)
		if err != nil || d != nil {
			return d, err
		}
		if t.first[ns] = later; later < math.MaxInt64 {
			return nil, nil
		}
		t.table.Drop(ns)
		delete(t.first, ns)
		t.spaces = t.spaces[1:]
	}
	return nil, nil
}

// entry is a timer with the place of its key among those of its namespace.
type entry struct {
	at    int64
	place int32
}

// look reads a namespace: what is due, or else when the first timer is.
func (t *timers) look(ns, upTo int64, most int) (*dueTimers, int64, error) {
	rows, err := t.table.Namespace(ns)
	if err != nil {
		return nil, 0, err
	}
	var due []entry
	later, place := int64(math.MaxInt64), int32(0)
	var pieces [][]arrow.Array
	defer func() {
		for _, p := range pieces {
			compute.ReleaseAll(p)
		}
	}()
	err = rows.Each(func(v state.View, from, to int) error {
		values := v.Values()[0].Bytes
		for x := from; x < to; x++ {
			if t.times, err = decodeTimes(t.times[:0], values[x]); err != nil {
				return err
			}
			for _, at := range t.times {
				if at > upTo {
					later = min(later, at)
					break
				}
				due = append(due, entry{at, place + int32(x-from)})
			}
		}
		place += int32(to - from)
		keys, err := v.Keys(from, to)
		pieces = append(pieces, keys)
		return err
	})
	if err != nil || len(due) == 0 {
		return nil, later, err
	}
	slices.SortFunc(due, func(a, b entry) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.place, b.place)) })
	d, err := t.gather(pieces, due[:min(len(due), max(most, 1))])
	return d, 0, err
}

// gather makes the keys of entries.
func (t *timers) gather(pieces [][]arrow.Array, due []entry) (*dueTimers, error) {
	d := &dueTimers{}
	t.places = t.places[:0]
	for _, e := range due {
		d.at, t.places = append(d.at, e.at), append(t.places, e.place)
	}
	column := make([]arrow.Array, len(pieces))
	for i := range t.rt.keys.schema {
		for j, p := range pieces {
			column[j] = p[i]
		}
		all, err := compute.Concat(t.rt.ctx.Alloc, column)
		if err == nil {
			var taken arrow.Array
			taken, err = compute.Take(t.rt.ctx.Alloc, all, t.places)
			all.Release()
			if err == nil {
				d.keys = append(d.keys, taken)
			}
		}
		if err != nil {
			d.release()
			return nil, err
		}
	}
	return d, nil
}

// encodeTimes makes one value of times, ascending.
func encodeTimes(times []int64) []byte {
	out := make([]byte, 0, 8*len(times))
	for _, at := range times {
		out = binary.LittleEndian.AppendUint64(out, uint64(at))
	}
	return out
}

func decodeTimes(times []int64, data []byte) ([]int64, error) {
	if len(data)%8 != 0 {
		return nil, failure.Errorf(failure.BadData, "the times of a key have %d bytes", len(data))
	}
	for ; len(data) > 0; data = data[8:] {
		times = append(times, int64(binary.LittleEndian.Uint64(data)))
	}
	return times, nil
}
