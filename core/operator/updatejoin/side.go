package updatejoin

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// side is what is kept of an input: its rows in lists by key.
type side struct {
	name       string
	input      int
	table      uint16 // of the state
	schema     datatype.Schema
	offset     int   // of its columns in pairs
	keys       []int // columns; none: all rows have one key
	keySchema  datatype.Schema
	equal      []int // by column: the other side's that is the same bits in every pair, or -1
	retracting bool
	preserved  bool // rows without a partner are told with nulls
	counted    bool // rows know how many partners they have
	closing    *jobgraph.Closing
	keep       int64 // milliseconds, 0: for ever
	list       datatype.Schema
	partners   int // hidden columns of the lists, -1: none; partners mean something where counted
	arrived    int

	ctx      *operator.Context
	late     aside.Late
	rows     state.Rows
	lists    state.Lists
	closings *expiry // nil: rows do not close
	ages     *expiry // nil: rows do not age
	ended    bool
	empty    []int32 // slots from whose lists a row went
	listed   []bool  // by slot: it is among those that are removed now

	hashes []uint64
	found  []int32 // slots of the other side
	slots  []int32
	added  []int32 // rows of the lists
	counts []int32
	dues   []int64
	ints   []int64
	hidden [2]constant
}

// constant is a hidden column of a batch.
type constant struct{ values state.Column }

// fill makes it n times v.
func (c *constant) fill(n int, v int64) {
	c.values.Int64, c.values.Valid = sized(c.values.Int64, n), sized(c.values.Valid, n)
	for i := range n {
		c.values.Int64[i], c.values.Valid[i] = v, true
	}
}

// delta is rows of a batch that one side adds or takes back.
type delta struct {
	batch       *stream.Batch
	side, other *side
	kind        stream.RowKind // Insert or Delete
	kept        bool           // the added rows are stored
	sel         []int32        // physical rows; nil: all
	slots       []int32        // of their keys on the other side, -1: none
	counts      []int32        // partners found for added rows; nil: not counted
}

// row is the physical row at a position.
func (d *delta) row(at int32) int32 {
	if d.sel == nil {
		return at
	}
	return d.sel[at]
}

// with returns d with other counts.
func (d *delta) with(counts []int32) *delta {
	c := *d
	c.counts = counts
	return &c
}

// choose returns the physical rows of those numbers of partners.
func (d *delta) choose(take func(partners int32) bool) []int32 {
	var out []int32
	for i, n := range d.counts {
		if take(n) {
			out = append(out, d.row(int32(i)))
		}
	}
	return out
}

// keys takes the key columns of both sides, which must be comparable.
func (j *Join) keys(left, right []uint32) error {
	l, r := j.sides[leftInput], j.sides[rightInput]
	if len(left) != len(right) {
		return fmt.Errorf("join: %d left and %d right keys", len(left), len(right))
	}
	l.equal, r.equal = unequal(len(l.schema)), unequal(len(r.schema))
	for i := range left {
		a, b := int(left[i]), int(right[i])
		if a >= len(l.schema) || b >= len(r.schema) {
			return fmt.Errorf("join: key columns %d of %d and %d of %d", a, len(l.schema), b, len(r.schema))
		}
		x, y := l.schema[a], r.schema[b]
		if !join.Comparable(x.Type, y.Type) {
			return failure.Errorf(failure.Internal, "join: key %s of type %s and key %s of type %s", x.Name, x.Type, y.Name, y.Type)
		}
		l.keys, r.keys = append(l.keys, a), append(r.keys, b)
		l.keySchema, r.keySchema = append(l.keySchema, x), append(r.keySchema, y)
		if hashtable.StorageOf(x.Type) != hashtable.Real && arrow.TypeEqual(x.Type.Arrow(), y.Type.Arrow()) {
			l.equal[a], r.equal[b] = b, a
		}
	}
	if len(left) == 0 {
		l.keySchema, r.keySchema = one(), one()
	}
	return nil
}

// one is the key of rows that have none.
func one() datatype.Schema { return datatype.Schema{{Name: "all", Type: number()}} }

func number() datatype.Type { return datatype.Of(datatype.BigInt).NotNull() }

func unequal(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = -1
	}
	return out
}

// close takes when rows of the side close.
func (s *side) close(c *jobgraph.Closing) error {
	if c == nil {
		return nil
	}
	if int(c.Column) >= len(s.schema) || !s.schema[c.Column].Type.IsTimestamp() {
		return fmt.Errorf("join: the %s side closes by column %d of %s", s.name, c.Column, s.schema)
	}
	s.closing = c
	return nil
}

// hide makes the columns of the lists: those of the rows and hidden ones.
func (s *side) hide() error {
	s.list, s.partners, s.arrived = slices.Clone(s.schema), -1, -1
	for _, f := range s.schema {
		if hashtable.StorageOf(f.Type) == hashtable.NoStorage {
			return failure.Errorf(failure.InvalidSQL, "a join over inputs that do not end cannot keep column %s of type %s", f.Name, f.Type)
		}
	}
	if s.counted || len(s.schema) == 0 && s.keep == 0 { // a list has a column
		s.partners, s.list = len(s.list), append(s.list, datatype.Field{Name: "partners", Type: number()})
	}
	if s.keep > 0 {
		s.arrived, s.list = len(s.list), append(s.list, datatype.Field{Name: "arrived", Type: number()})
	}
	for i := range s.hidden {
		s.hidden[i].values.Type = number()
	}
	return nil
}

// open opens the side's table, and finds when restored rows are to be forgotten.
func (s *side) open(ctx *operator.Context, backend state.Backend) error {
	s.ctx = ctx
	closing := -1
	if s.closing != nil {
		closing = int(s.closing.Column)
	}
	if err := s.late.Open(ctx, s.schema, closing); err != nil {
		return err
	}
	t, err := backend.Table(state.TableSpec{
		ID: s.table, Name: s.name + " rows", Keys: s.keySchema, List: s.list,
		Evictable: s.closing == nil && s.keep == 0,
	}) // else rows are known by their numbers
	if err != nil {
		return err
	}
	if s.rows, err = t.Namespace(0); err != nil {
		return err
	}
	s.lists = s.rows.Lists()
	if s.closing != nil {
		s.closings = newExpiry(ctx.Memory)
	}
	if s.keep > 0 {
		s.ages = newExpiry(ctx.Memory)
	}
	if s.closings == nil && s.ages == nil || s.lists.Count() == 0 {
		return nil
	}
	return s.rows.Each(s.restored)
}

// restored notes the rows of a run of keys.
func (s *side) restored(_ state.View, from, to int) error {
	var rows []int32
	first, next := s.lists.Chains()
	for slot := from; slot < to; slot++ {
		for r := first[slot]; r >= 0; r = next[r] {
			rows = append(rows, r)
		}
	}
	due := make([]int64, len(rows))
	if s.closings != nil {
		c := int(s.closing.Column)
		times := s.column(c)
		for i, r := range rows {
			due[i] = compute.Millis(s.schema[c].Type, times[r]) + s.closing.AfterMillis
		}
		if err := s.closings.add(rows, due); err != nil {
			return err
		}
	}
	if s.ages != nil {
		arrived := s.column(s.arrived)
		for i, r := range rows {
			due[i] = arrived[r] + s.keep
		}
		return s.ages.add(rows, due)
	}
	return nil
}

// column is an integer column of the lists, by row.
func (s *side) column(i int) []int64 { return s.lists.Fixed()[i].Int64 }
