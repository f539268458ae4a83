package updatetop

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// stateTable is the operator's table in keyed state.
const stateTable = 1

// TopN is the operator of a jobgraph.UpdatingTopN.
type TopN struct {
	spec     *jobgraph.UpdatingTopN
	in       datatype.Schema
	arrow    *arrow.Schema
	keyTypes datatype.Schema // never empty: without groups, a constant
	words    *words          // of the order
	first    bool            // one row a group suffices, and is compared by words

	ctx    *operator.Context
	table  state.Table
	own    state.Backend // where the job keeps no state
	spaces map[int64]*space
	fired  stream.Watermark
	late   aside.Late

	finder groups.Finder
	ages   groups.Ages
	ints   []int64
	out    changes
	best   firsts
	sorter *groups.Sorter
	slots  []int32
	drop   []int32 // rows that are kept no more
	empty  []int32 // slots without a row
}

// space is a namespace with what is known of its groups.
type space struct {
	rows  state.Rows
	lists state.Lists // of rows, or of the view that is told
	last  []int32     // by slot: the last row that the group keeps, if no row after it is wanted; -1
	mark  []int32     // by slot: its place among the groups of the batch, -1
}

// New returns the operator that spec describes over input columns of in, with output
// columns out.
func New(spec *jobgraph.UpdatingTopN, in, out datatype.Schema) (*TopN, error) {
	n := &TopN{spec: spec, finder: groups.Finder{Columns: spec.Groups}, ages: groups.Ages{Keep: spec.KeepMillis}, in: in, arrow: out.Arrow(), fired: stream.MinWatermark, spaces: map[int64]*space{}}
	if spec.Limit < 1 || spec.Offset < 0 || spec.Ranking == jobgraph.Ranking_RANKING_INVALID {
		return nil, fmt.Errorf("updating top-n: limit %d, offset %d, ranking %s", spec.Limit, spec.Offset, spec.Ranking)
	}
	want := len(in)
	if spec.Rank {
		want++
	}
	if len(out) != want {
		return nil, fmt.Errorf("updating top-n: %d output columns, want %d", len(out), want)
	}
	for _, g := range spec.Groups {
		if int(g) >= len(in) {
			return nil, fmt.Errorf("updating top-n: group column %d of %d", g, len(in))
		}
		n.keyTypes = append(n.keyTypes, in[g])
	}
	if len(spec.Groups) == 0 {
		n.keyTypes = groups.NoKeys()
	}
	var err error
	if n.sorter, err = groups.NewSorter(spec.Order, in); err != nil {
		return nil, fmt.Errorf("updating top-n: %w", err)
	}
	if c := spec.Closing; c != nil && (int(c.Column) >= len(in) || !in[c.Column].Type.IsTimestamp()) {
		return nil, fmt.Errorf("updating top-n: closing column %d of %s", c.Column, in)
	}
	n.words = newWords(spec.Order, in)
	n.first = n.words.exact && n.single() && !spec.Retracting
	return n, nil
}

// single says that a group has one row at most.
func (n *TopN) single() bool {
	return n.spec.Limit == 1 && n.spec.Offset == 0 && n.spec.Ranking == jobgraph.Ranking_RANKING_ROW_NUMBER
}

// reach is how many rows of a group count.
func (n *TopN) reach() int64 { return n.spec.Offset + n.spec.Limit }

// Late is the number of rows that were left out because their groups were closed.
func (n *TopN) Late() int64 { return n.late.Count() }

// Open implements operator.Operator.
func (n *TopN) Open(ctx *operator.Context) (err error) {
	n.ctx = ctx
	if c := n.spec.Closing; c != nil {
		if err := n.late.Open(ctx, n.in, int(c.Column)); err != nil {
			return err
		}
	}
	backend := ctx.State
	if backend == nil {
		n.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = n.own
	}
	spec := state.TableSpec{ID: stateTable, Name: "rows of groups", Keys: n.keyTypes, List: n.in, Evictable: n.spec.KeepMillis == 0}
	if n.spec.KeepMillis > 0 {
		spec.Values = datatype.Schema{groups.Touched()}
	}
	if n.table, err = backend.Table(spec); err != nil {
		return fmt.Errorf("updating top-n: %w", err)
	}
	if n.fired, err = ctx.RestoredWatermark(n.fired); err != nil {
		return fmt.Errorf("updating top-n: %w", err)
	}
	return nil
}

// Process implements operator.Operator.
func (n *TopN) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	added, removed := changelog.Split(b)
	if len(removed) > 0 && !n.spec.Retracting {
		return failure.Errorf(failure.Internal, "updating top-n: a row is taken back from an input that only inserts")
	}
	if err := n.route(b, added, removed); err != nil {
		return fmt.Errorf("updating top-n: %w", err)
	}
	return nil
}

// route applies the rows of a batch, namespace for namespace.
func (n *TopN) route(b *stream.Batch, added, removed []int32) error {
	if n.spec.Closing == nil {
		return n.apply(0, b, added, removed)
	}
	gone, err := n.divide(b, removed, len(removed))
	if err != nil {
		return err
	}
	rows := len(added)
	if added == nil {
		rows = b.PhysicalRows()
	}
	come, err := n.divide(b, added, rows)
	if err != nil {
		return err
	}
	if err := n.late.Emit(b, n.fired); err != nil {
		return err
	}
	for ns, sel := range come {
		if err := n.apply(ns, b, sel, gone[ns]); err != nil {
			return err
		}
		delete(gone, ns)
	}
	for ns, sel := range gone {
		if err := n.apply(ns, b, []int32{}, sel); err != nil {
			return err
		}
	}
	return nil
}

// divide gives the n rows of sel (nil: all) by their closing value; late ones are
// counted and left out.
func (n *TopN) divide(b *stream.Batch, sel []int32, rows int) (map[int64][]int32, error) {
	out := map[int64][]int32{}
	if rows == 0 {
		return out, nil
	}
	c := b.Column(int(n.spec.Closing.Column))
	valid := compute.Validity(c, sel, nil)
	var v []int64
	v, n.ints = compute.Integers(c, sel, n.ints)
	t := n.in[n.spec.Closing.Column].Type
	for from := 0; from < rows; {
		to := from
		for to < rows && v[to] == v[from] {
			if valid != nil && !valid[to] {
				return nil, failure.Errorf(failure.BadData, "closing column %s is null in a row", b.Record.ColumnName(int(n.spec.Closing.Column)))
			}
			to++
		}
		ns := compute.Millis(t, v[from])
		late := n.closed(ns, n.fired)
		for ; from < to; from++ {
			r := int32(from)
			if sel != nil {
				r = sel[from]
			}
			if late {
				n.late.Add(r)
			} else {
				out[ns] = append(out[ns], r)
			}
		}
	}
	return out, nil
}

// closed says that groups of a closing value get no more rows.
func (n *TopN) closed(ns int64, w stream.Watermark) bool {
	after := n.spec.Closing.AfterMillis
	if sum := ns + after; (sum > ns) == (after > 0) { // no overflow
		ns = sum
	}
	return ns <= int64(w) && w > stream.MinWatermark
}

// apply applies rows of a batch to a namespace; added is nil for all rows.
func (n *TopN) apply(ns int64, b *stream.Batch, added, removed []int32) error {
	s, err := n.space(ns)
	if err != nil {
		return err
	}
	s.lists = s.rows.Lists()
	if n.first {
		return n.applyFirst(s, b, added)
	}
	return n.applyAll(s, b, added, removed)
}

func (n *TopN) space(ns int64) (*space, error) {
	if s, ok := n.spaces[ns]; ok {
		return s, nil
	}
	rows, err := n.table.Namespace(ns)
	if err != nil {
		return nil, err
	}
	s := &space{rows: rows}
	n.spaces[ns] = s
	return s, nil
}

// resolve gives rows of a batch the slots of their groups; with add, groups that are new
// get one.
func (n *TopN) resolve(s *space, b *stream.Batch, sel []int32, slots []int32, add bool) error {
	defer s.grow()
	lookup := s.rows.Find
	if add {
		lookup = s.rows.Resolve
	}
	return n.finder.Find(n.ctx.Alloc, b, sel, slots, lookup)
}

// grow makes room for what is known by slot.
func (s *space) grow() {
	for len(s.mark) < s.rows.Len() {
		s.mark = append(s.mark, -1)
	}
	for len(s.last) < s.rows.Len() {
		s.last = append(s.last, -1)
	}
}

// LetGo implements operator.Holder: what is known by slot is forgotten.
func (n *TopN) LetGo() error {
	for _, s := range n.spaces {
		for i := range s.last {
			s.last[i] = -1
		}
	}
	return nil
}

// Watermark implements operator.Operator: it tells the rows of groups that close.
func (n *TopN) Watermark(w stream.Watermark) error {
	if n.spec.Closing == nil || w <= n.fired {
		return nil
	}
	for _, ns := range n.table.Namespaces() {
		if !n.closed(ns, w) {
			continue
		}
		if err := n.fire(ns); err != nil {
			return fmt.Errorf("updating top-n: %w", err)
		}
		n.table.Drop(ns)
		delete(n.spaces, ns)
	}
	n.fired = w
	return nil
}

// Tick implements operator.Ticker: groups that nothing has come for are forgotten.
func (n *TopN) Tick(now time.Time) error {
	if n.spec.KeepMillis == 0 || n.spec.Closing != nil {
		return nil
	}
	s, err := n.space(0)
	if err != nil {
		return fmt.Errorf("updating top-n: %w", err)
	}
	old, err := n.ages.Old(now, s.rows)
	if err != nil {
		return fmt.Errorf("updating top-n: %w", err)
	}
	s.grow()
	for _, x := range old {
		s.last[x] = -1
	}
	s.rows.Remove(old)
	return nil
}

// EndInput implements operator.Operator.
func (n *TopN) EndInput(int) error { return nil }

// Snapshot implements operator.Snapshotter: besides keyed state there is the watermark
// up to which groups are closed.
func (n *TopN) Snapshot(stream.Barrier) ([]byte, error) {
	return operator.SaveWatermark(n.fired), nil
}

// Completed implements operator.Snapshotter.
func (n *TopN) Completed(id.Checkpoint) error { return nil }

// Close implements operator.Operator.
func (n *TopN) Close() error {
	if n.own != nil {
		return n.own.Close()
	}
	return nil
}

var (
	_ operator.Operator    = (*TopN)(nil)
	_ operator.Snapshotter = (*TopN)(nil)
	_ operator.Ticker      = (*TopN)(nil)
	_ operator.Holder      = (*TopN)(nil)
)
