package updatetop

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/stream"
)

// rankType is the type of a row's rank.
var rankType = datatype.Of(datatype.BigInt).NotNull()

// change is a row of a list that is told.
type change struct {
	row  int32
	rank int64
	kind stream.RowKind
}

// changes are those of whole groups that are to be told, and of the one at hand.
type changes struct {
	before, after []change
	group         struct {
		before, after []change
		now           int64 // rows it has
	}
	rows  []int32
	ranks []int64
}

// counter ranks rows that come in order.
type counter struct {
	ranking      jobgraph.Ranking
	number, rank int64
	dense        int64
	last         int32
}

// next is the rank of the next row.
func (c *counter) next(row int32, peers []compute.Comparer) int64 {
	c.number++
	if c.ranking == jobgraph.Ranking_RANKING_ROW_NUMBER {
		return c.number
	}
	if c.number == 1 || rowsort.Compare(peers, int(c.last), int(row)) != 0 {
		c.rank = c.number
		c.dense++
	}
	c.last = row
	if c.ranking == jobgraph.Ranking_RANKING_RANK {
		return c.rank
	}
	return c.dense
}

// reached is how far ranks have come, for a row behind the last.
func (c *counter) reached() int64 {
	if c.ranking == jobgraph.Ranking_RANKING_DENSE_RANK {
		return c.dense
	}
	return c.number
}

// rank counts the sorted rows of a group, and notes the changes of the first ones and
// the rows that are kept no more. Rows that differ in their rank alone are changes where
// it is shown.
func (n *TopN) rank(s *space, slot int32, order []int32, peers []compute.Comparer, closes bool) {
	k, g := n.sorter, &n.out.group
	g.before, g.after = g.before[:0], g.after[:0]
	then, now := counter{ranking: n.spec.Ranking}, counter{ranking: n.spec.Ranking}
	kept, last := 0, int32(-1)
	for _, o := range order {
		row := k.Rows[o]
		flags := k.Flags(row)
		var from, to int64 // ranks before and after, 0: not among the first
		if flags&groups.Fresh == 0 && !closes {
			if from = then.next(o, peers); from <= n.spec.Offset || from > n.reach() {
				from = 0
			}
		}
		stays := flags&groups.Gone == 0
		if stays {
			to = now.next(o, peers)
			stays = n.spec.Retracting || to <= n.reach()
			if to <= n.spec.Offset || to > n.reach() {
				to = 0
			}
		}
		if stays {
			kept, last = kept+1, row
		} else {
			n.drop = append(n.drop, row)
		}
		if from == to || from > 0 && to > 0 && !n.spec.Rank {
			continue
		}
		kind := [2]stream.RowKind{stream.UpdateBefore, stream.UpdateAfter}
		if from == 0 {
			kind[1] = stream.Insert
		}
		if to == 0 {
			kind[0] = stream.Delete
		}
		if from > 0 {
			g.before = append(g.before, change{row, from, kind[0]})
		}
		if to > 0 {
			g.after = append(g.after, change{row, to, kind[1]})
		}
	}
	g.now = now.number
	switch {
	case closes:
	case kept == 0:
		n.empty = append(n.empty, slot)
		s.last[slot] = -1
	case now.reached() >= n.reach():
		s.last[slot] = last
	default:
		s.last[slot] = -1
	}
}

// settle adds the changes of a group to those that are told, in the words that their
// reader understands.
func (n *TopN) settle(s *space, closes bool) error {
	if n.spec.Closing != nil && !closes {
		return nil
	}
	g := &n.out.group
	if n.single() && len(g.before) > 0 && len(g.after) > 0 {
		g.before[0].kind, g.after[0].kind = stream.UpdateBefore, stream.UpdateAfter
	}
	if !n.spec.UpdateBefore {
		numbered := n.spec.Rank && n.spec.Ranking == jobgraph.Ranking_RANKING_ROW_NUMBER
		told := g.before[:0]
		for _, c := range g.before {
			if numbered && !n.single() && c.rank > g.now { // nobody has its number any more
				c.kind = stream.Delete
			}
			if c.kind == stream.Delete {
				told = append(told, c)
			}
		}
		g.before = told
	}
	out := &n.out
	if len(out.before)+len(out.after)+len(g.before)+len(g.after) > n.ctx.BatchRows {
		if err := n.flush(s); err != nil {
			return err
		}
	}
	out.before, out.after = append(out.before, g.before...), append(out.after, g.after...)
	return nil
}

// flush emits the changes that are noted, in one batch unless they are those of one
// large group.
func (n *TopN) flush(s *space) error {
	all := append(n.out.before, n.out.after...)
	n.out.before, n.out.after = n.out.before[:0], n.out.after[:0]
	for from := 0; from < len(all); from += n.ctx.BatchRows {
		if err := n.emit(s, all[from:min(from+n.ctx.BatchRows, len(all))]); err != nil {
			return err
		}
	}
	return nil
}

func (n *TopN) emit(s *space, some []change) error {
	out, lists := &n.out, s.lists
	out.rows, out.ranks = sized(out.rows, len(some)), sized(out.ranks, len(some))
	kinds := make([]stream.RowKind, len(some))
	changes := false
	for i, c := range some {
		out.rows[i], out.ranks[i], kinds[i] = c.row, c.rank, c.kind
		changes = changes || c.kind != stream.Insert
	}
	columns := make([]arrow.Array, 0, len(n.in)+1)
	defer func() { compute.ReleaseAll(columns) }()
	for i := range n.in {
		c, err := lists.Take(i, out.rows)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	if n.spec.Rank {
		b := array.NewInt64Builder(n.ctx.Alloc)
		defer b.Release()
		b.AppendValues(out.ranks, nil)
		columns = append(columns, b.NewArray())
	}
	b := operator.NewBatch(n.arrow, columns, len(some))
	if changes {
		b.Kinds = kinds
	}
	return n.ctx.Output.Emit(b)
}
