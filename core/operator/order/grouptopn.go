package order

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// Rows are cut to the first ones of their groups when there are settleRows, and
	// again when there are twice as many as were left.
	settleRows = 1 << 16
	// Of so many rows at least half must go, or they are cut no more.
	giveUpRows = 1 << 19
	// A partial one keeps no more rows, but emits them.
	partialRows = 1 << 18
)

// GroupTopN is the operator of a jobgraph.GroupTopN: a Sort that cuts what it
// sorts, its runs too, to the first rows of each group. A partial one emits what
// it keeps when that are many rows or memory is short, and all rows as they come
// where cutting is in vain.
type GroupTopN struct {
	Sort
	groups  int // leading keys
	limit   int64
	ranking jobgraph.Ranking
	partial bool

	next    int          // kept rows from which on to cut them
	bounds  *groupBounds // of what was cut last, if much was; nil: none
	last    []int32      // rows of what was cut last, the last ones of full groups
	passing bool         // cutting is in vain
	seen    int          // rows that came
	sent    int          // rows that a partial one emitted because they were many
}

// NewGroupTopN returns the operator that spec describes over input columns of in.
func NewGroupTopN(spec *jobgraph.GroupTopN, in datatype.Schema) (*GroupTopN, error) {
	if spec.Limit < 1 || spec.Ranking == jobgraph.Ranking_RANKING_INVALID {
		return nil, failure.Errorf(failure.Internal, "group top-n: limit %d, ranking %s", spec.Limit, spec.Ranking)
	}
	keys := make([]*jobgraph.SortKey, 0, len(spec.Groups)+len(spec.Order))
	for _, g := range spec.Groups {
		keys = append(keys, &jobgraph.SortKey{Column: g, NullsFirst: true})
	}
	sortKeys, err := SortKeys(append(keys, spec.Order...), in)
	if err != nil {
		return nil, err
	}
	n := &GroupTopN{
		Sort: Sort{keys: sortKeys}, groups: len(keys), limit: spec.Limit, ranking: spec.Ranking,
		partial: spec.Phase == jobgraph.Phase_PHASE_PARTIAL, next: settleRows,
	}
	n.cut = n.first
	if n.partial {
		n.relief = n.flush
	}
	return n, nil
}

// Process implements operator.Operator.
func (n *GroupTopN) Process(input int, b *stream.Batch) error {
	if n.passing && n.partial {
		return n.ctx.Output.Emit(b)
	}
	n.seen += b.Len()
	if n.bounds != nil {
		sel, err := n.bounds.pass(b)
		if err != nil {
			b.Release()
			return fmt.Errorf("group top-n: %w", err)
		}
		b.Sel = sel
	}
	if err := n.Sort.Process(input, b); err != nil {
		return err
	}
	if n.passing || n.rows < n.next {
		return nil
	}
	return n.settle()
}

// settle cuts what is kept.
func (n *GroupTopN) settle() error {
	before := n.rows
	batches := n.yield()
	defer func() { releaseAll(batches) }()
	best, err := n.best(batches)
	if err != nil { // memory is short
		for _, b := range batches {
			n.add(b, 0)
		}
		batches = nil
		return n.Spill()
	}
	releaseAll(batches)
	batches = nil
	left := int(best.NumRows())
	if n.partial && left > partialRows {
		n.sent, n.next = n.sent+left, settleRows
		n.passing = n.sent > n.seen/2
		return n.emitAll(stream.NewBatch(best))
	}
	if left <= before/2 {
		n.bounds = newGroupBounds(best, n.keys[:n.groups], n.keys[n.groups:], n.ranking != jobgraph.Ranking_RANKING_ROW_NUMBER, n.last)
	}
	if err := n.keep(stream.NewBatch(best)); err != nil {
		return fmt.Errorf("group top-n: %w", err)
	}
	n.next = max(settleRows, 2*left)
	n.passing = before >= giveUpRows && left > before/2
	return nil
}

// best returns the first rows of each group of batches, which stay the caller's.
func (n *GroupTopN) best(batches []*stream.Batch) (best arrow.RecordBatch, err error) {
	defer memory.Recover(&err)
	sorted, err := n.sort(batches)
	if err != nil {
		return nil, err
	}
	defer sorted.release()
	return compute.TakeRecord(n.ctx.Alloc, sorted.all, sorted.rows)
}

// flush emits what is kept, cut where memory allows.
func (n *GroupTopN) flush() error {
	batches := n.yield()
	defer func() { releaseAll(batches) }()
	if len(batches) == 0 {
		return nil
	}
	sorted, err := n.sort(batches)
	if err == nil {
		releaseAll(batches)
		batches = nil
		defer sorted.release()
		return n.emitSorted(sorted)
	}
	for len(batches) > 0 {
		b := batches[0]
		batches = batches[1:]
		if err := n.emitAll(b); err != nil {
			return err
		}
	}
	return nil
}

// emitAll emits a batch of any size.
func (n *GroupTopN) emitAll(b *stream.Batch) error {
	defer b.Release()
	for from := 0; from < b.Len(); from += n.ctx.BatchRows {
		if err := n.ctx.Output.Emit(compute.SliceBatch(b, from, min(from+n.ctx.BatchRows, b.Len()))); err != nil {
			return err
		}
	}
	return nil
}

// first leaves of sorted rows of a record those that the ranking counts among the
// first of their groups.
func (n *GroupTopN) first(all arrow.RecordBatch, rows []int32) ([]int32, error) {
	n.forgetBounds()
	group, err := rowsort.Comparers(all, all, n.keys[:n.groups])
	if err != nil {
		return nil, err
	}
	peer, err := rowsort.Comparers(all, all, n.keys[n.groups:])
	if err != nil {
		return nil, err
	}
	n.last = n.last[:0]
	out := rows[:0]
	var number, rank, dense int64
	complete := false // the group
	before := int32(-1)
	for _, r := range rows {
		switch {
		case before < 0 || rowsort.Compare(group, int(before), int(r)) != 0:
			number, rank, dense, complete = 1, 1, 1, false
		default:
			number++
			if n.ranking != jobgraph.Ranking_RANKING_ROW_NUMBER && rowsort.Compare(peer, int(before), int(r)) != 0 {
				rank = number
				dense++
			}
		}
		before = r
		at, full := number, number
		switch n.ranking {
		case jobgraph.Ranking_RANKING_RANK:
			at = rank
		case jobgraph.Ranking_RANKING_DENSE_RANK:
			at, full = dense, dense
		}
		if at > n.limit {
			continue
		}
		if full >= n.limit {
			if !complete {
				n.last = append(n.last, 0)
			}
			complete = true
			n.last[len(n.last)-1] = int32(len(out))
		}
		out = append(out, r)
	}
	return out, nil
}

// forgetBounds drops the bounds: what they stand for is kept no more.
func (n *GroupTopN) forgetBounds() {
	n.bounds.release()
	n.bounds = nil
}

// Close implements operator.Operator.
func (n *GroupTopN) Close() error {
	n.forgetBounds()
	return n.Sort.Close()
}

var (
	_ operator.Operator = (*GroupTopN)(nil)
	_ operator.Spiller  = (*GroupTopN)(nil)
)
