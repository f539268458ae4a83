package over

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// pick takes the value of another row: LAG, LEAD, FIRST_VALUE, LAST_VALUE or
// NTH_VALUE.
type pick struct {
	call     *jobgraph.OverCall
	function string
	f        *frames // of LAG and LEAD: the rows that they may reach; nil: any
	mem      memory.Allocator

	s      *section
	n      numbers
	from   arrow.Array // the values; then defaults, the value carried, the one foreseen
	filled bool        // from has a default for each row behind the values
	past   int32       // the place of carried in from; -1: none
	future int32       // the place of foreseen in from; -1: none
	valid  []int32     // rows with a value, where nulls are ignored
	before []int32     // how many of them come before each row; nil: all rows count

	carried  seen // of the rows of the partition that are gone
	foreseen seen // the last of a partition in a file
	noted    int64
}

// seen is a value of a row that is not in the section.
type seen struct {
	value arrow.Array // one row; nil: none
	at    int64       // number of the row in its partition
}

func (s *seen) set(value arrow.Array, at int64) {
	s.release()
	s.value, s.at = value, at
}

func (s *seen) release() {
	if s.value != nil {
		s.value.Release()
		s.value = nil
	}
}

func newPick(c *jobgraph.OverCall) *pick {
	k := &pick{call: c, function: c.Call.Function}
	frame := c.Frame
	if k.neighbours() {
		if frame.Unit != jobgraph.FrameUnit_FRAME_ROWS || c.IgnoreNulls || !reaches(k.function, frame) {
			return k
		}
	} else if k.function == "FIRST_VALUE" && !c.IgnoreNulls && frame.From.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING &&
		frame.To.Kind >= jobgraph.BoundKind_BOUND_CURRENT_ROW {
		// The first row is in the frame however far that goes.
		frame = &jobgraph.Frame{Unit: jobgraph.FrameUnit_FRAME_ROWS, From: frame.From, To: &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_CURRENT_ROW}}
	}
	k.f = newFrames(frame)
	return k
}

func (k *pick) neighbours() bool { return k.function == "LAG" || k.function == "LEAD" }

// reaches reports whether a frame tells how far a LAG or LEAD goes.
func reaches(function string, f *jobgraph.Frame) bool {
	if function == "LAG" {
		return f.From.Kind == jobgraph.BoundKind_BOUND_PRECEDING && f.To.Kind == jobgraph.BoundKind_BOUND_CURRENT_ROW
	}
	return f.From.Kind == jobgraph.BoundKind_BOUND_CURRENT_ROW && f.To.Kind == jobgraph.BoundKind_BOUND_FOLLOWING
}

func (k *pick) need() need {
	switch k.function {
	case "LAG":
		return need{memory: k.f == nil}
	case "LEAD":
		return need{end: k.f == nil, memory: k.f == nil}
	case "NTH_VALUE":
		return need{end: k.f.toEnd(), memory: k.f.toEnd() || k.f.fromStart()}
	case "FIRST_VALUE":
		return need{end: k.f.toEnd(), memory: k.f.toEnd() && k.call.IgnoreNulls && !k.f.fromStart()}
	}
	return need{end: k.f.toEnd()}
}

func (k *pick) bind(s *section) error {
	k.s, k.n = s, newNumbers(k.call, 1, s)
	if k.f != nil {
		k.f.bind(s)
	}
	value := s.record.Column(int(k.call.Call.Args[0]))
	k.count(value)
	pieces := []arrow.Array{value}
	end := int32(s.rows)
	if k.filled = len(k.call.Call.Args) == 3; k.filled {
		pieces = append(pieces, s.record.Column(int(k.call.Call.Args[2])))
		end *= 2
	}
	k.past, k.future = -1, -1
	if s.before > 0 && k.carried.value != nil {
		k.past = end
		pieces = append(pieces, k.carried.value)
		end++
	}
	if s.foreseen != nil && k.foreseen.value != nil {
		k.future = end
		pieces = append(pieces, k.foreseen.value)
	}
	if len(pieces) == 1 {
		value.Retain()
		k.from = value
		return nil
	}
	var err error
	k.from, err = compute.Concat(k.mem, pieces)
	return err
}

// count counts the rows with a value, where only those count.
func (k *pick) count(value arrow.Array) {
	if !k.call.IgnoreNulls {
		return
	}
	k.valid, k.before = k.valid[:0], resize(k.before, k.s.rows+1)
	for i := range k.s.rows {
		k.before[i] = int32(len(k.valid))
		if value.IsValid(i) {
			k.valid = append(k.valid, int32(i))
		}
	}
	k.before[k.s.rows] = int32(len(k.valid))
}

func (k *pick) ready() int {
	switch {
	case k.f != nil:
		return k.f.ready(k.s)
	case k.s.open && k.function == "LEAD":
		return k.s.lastStart()
	}
	return k.s.rows
}

func (k *pick) keep(next int) int {
	if k.need().memory && next < k.s.rows || k.function == "LEAD" && k.f == nil {
		return int(k.s.start[min(next, k.s.rows-1)])
	}
	if k.need().memory {
		return k.s.lastStart()
	}
	return k.f.keep(k.s, next)
}

func (k *pick) values(from, to int) (arrow.Array, error) {
	rows := make([]int32, to-from)
	for i := range rows {
		row := from + i
		n, ok := k.n.at(row)
		if rows[i] = -1; !ok {
			continue
		}
		if !k.neighbours() && n < 1 {
			return nil, failure.Errorf(failure.BadData, "NTH_VALUE counts from 1, not from %d", n)
		}
		rows[i] = k.find(row, n)
		if rows[i] < 0 && k.filled {
			rows[i] = int32(k.s.rows + row)
		}
	}
	return compute.TakeOrNull(k.mem, k.from, rows)
}

// find is the place in from of the value that row takes, or -1.
func (k *pick) find(row int, n int64) int32 {
	n = min(max(n, -math.MaxInt32), math.MaxInt32)
	carried := k.past >= 0 && k.s.start[row] == 0 && k.f != nil && k.f.fromStart()
	switch k.function {
	case "LAG":
		return k.neighbour(row, -n)
	case "LEAD":
		return k.neighbour(row, n)
	case "LAST_VALUE":
		if k.future >= 0 && k.f.toEnd() && k.foreseen.at >= k.s.before+int64(k.s.rows) {
			return k.future
		}
		at := k.nth(row, int64(k.counted(k.f.to[row]))-1)
		if at < 0 && carried {
			return k.past
		}
		return at
	case "FIRST_VALUE":
		if carried {
			return k.past
		}
		n = 1
	}
	return k.nth(row, int64(k.counted(k.f.from[row]))+n-1)
}

// neighbour counts only valid rows, if others are to be ignored.
func (k *pick) neighbour(row int, by int64) int32 {
	if by == 0 {
		return int32(row)
	}
	at := int64(k.counted(int32(row))) + by
	if by > 0 {
		at = int64(k.counted(int32(row+1))) + by - 1
	}
	if at < int64(k.counted(k.s.start[row])) || at >= int64(k.counted(k.s.end[row])) {
		return -1
	}
	return k.row(at)
}

// nth is the at-th row, if it is in row's frame.
func (k *pick) nth(row int, at int64) int32 {
	if at < int64(k.counted(k.f.from[row])) || at >= int64(k.counted(k.f.to[row])) {
		return -1
	}
	return k.row(at)
}

// counted is how many rows that count come before row.
func (k *pick) counted(row int32) int32 {
	if !k.call.IgnoreNulls {
		return row
	}
	return k.before[row]
}

func (k *pick) row(at int64) int32 {
	if !k.call.IgnoreNulls {
		return int32(at)
	}
	return k.valid[at]
}

// drop carries on the first or last value of the partition.
func (k *pick) drop(from, to int) error {
	if k.f == nil || !k.f.fromStart() || k.neighbours() {
		return nil
	}
	had := k.s.carried(from)
	if !had {
		k.carried.release()
	}
	first, last := k.counted(int32(from)), k.counted(int32(to))
	if first == last || k.function == "FIRST_VALUE" && k.carried.value != nil {
		return nil
	}
	at := k.row(int64(first))
	if k.function == "LAST_VALUE" {
		at = k.row(int64(last) - 1)
	}
	value, err := compute.Take(k.mem, k.s.record.Column(int(k.call.Call.Args[0])), []int32{at})
	if err == nil {
		k.carried.set(value, 0)
	}
	return err
}

// note implements foreteller: it keeps the last value.
func (k *pick) note(record arrow.RecordBatch) error {
	if k.function != "LAST_VALUE" || !k.f.toEnd() {
		return nil
	}
	value := record.Column(int(k.call.Call.Args[0]))
	last := value.Len() - 1
	for k.call.IgnoreNulls && last >= 0 && value.IsNull(last) {
		last--
	}
	at := k.noted + int64(last)
	k.noted += int64(value.Len())
	if last < 0 {
		return nil
	}
	one, err := compute.Take(k.mem, value, []int32{int32(last)})
	if err == nil {
		k.foreseen.set(one, at)
	}
	return err
}

func (k *pick) foresee() error { return nil }

func (k *pick) forget() {
	k.foreseen.release()
	k.noted = 0
}

func (k *pick) free() {
	if k.from != nil {
		k.from.Release()
		k.from = nil
	}
	k.s, k.n = nil, numbers{}
}

func (k *pick) shed() {
	k.valid, k.before = nil, nil
	if k.f != nil {
		k.f.shed()
	}
}

func (k *pick) release() {
	k.free()
	k.carried.release()
	k.forget()
}
