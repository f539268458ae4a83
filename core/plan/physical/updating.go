package physical

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// Streaming plans are made of operators that keep their input in keyed state: rows of a
// key must be where the key's group is, so they are exchanged by exactly the keys of the
// state, unless they were.

func retracts(n plan.Node) bool { return plan.ChangelogOf(n) == plan.Retract }

// meet brings rows of equal keys into the subtask that has the keys' groups.
func (b *builder) meet(f *fragment, keys []int) *fragment {
	if b.met(f, keys) {
		return f
	}
	return b.byKeys(f, keys)
}

func (b *builder) met(f *fragment, keys []int) bool {
	if f.single() { // it has all groups
		return true
	}
	return len(keys) > 0 && slices.Equal(f.hashed, keys) && f.vertex.Parallelism == b.o.Parallelism
}

// closingOf is the closing key among columns, called by its place in them if placed.
func closingOf(in plan.Node, columns []int, placed bool) *jobgraph.Closing {
	at := plan.ClosingKey(in, columns)
	if at < 0 {
		return nil
	}
	after, _ := plan.Closing(in, columns[at])
	if placed {
		return &jobgraph.Closing{Column: uint32(at), AfterMillis: after}
	}
	return &jobgraph.Closing{Column: uint32(columns[at]), AfterMillis: after}
}

// updatingAggregate runs in two phases where the calls allow it, as in batch.
func (b *builder) updatingAggregate(n *plan.Aggregate) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	calls := callProtos(n.Calls, n.Input.Schema())
	retracting := retracts(n.Input)
	spec := func(phase jobgraph.Phase, keys []int, closing *jobgraph.Closing) *jobgraph.Operator {
		a := &jobgraph.UpdatingAggregate{
			Phase: phase, Keys: refs(keys), Calls: calls, Retracting: retracting, UpdateBefore: b.before(n), Closing: closing,
			HoldMillis: b.o.HoldMillis, KeepMillis: b.o.KeepMillis,
		}
		if phase == jobgraph.Phase_PHASE_PARTIAL {
			a.UpdateBefore, a.KeepMillis = false, 0
		}
		return &jobgraph.Operator{Spec: &jobgraph.Operator_UpdatingAggregate{UpdatingAggregate: a}}
	}
	splittable := true
	for _, c := range calls {
		splittable = splittable && updateagg.Splittable(c, retracting)
	}
	keys := firstColumns(len(n.Keys))
	closing := closingOf(n.Input, n.Keys, false)
	if b.met(f, n.Keys) || !splittable || closing != nil && b.tellsLate() {
		out := b.chain(b.meet(f, n.Keys), n, n.Label(), n.Schema(), spec(jobgraph.Phase_PHASE_SINGLE, n.Keys, closing))
		out.hashed = keys
		return out, nil
	}
	partial, err := appendAccumulators(append(datatype.Schema(nil), n.Schema()[:len(n.Keys)]...), n.Calls, calls, retracting)
	if err != nil {
		return nil, err
	}
	partial = append(partial, datatype.Field{Name: "rows", Type: datatype.Of(datatype.BigInt).NotNull()})
	f = b.chain(f, n, n.Label()+" (partial)", partial, spec(jobgraph.Phase_PHASE_PARTIAL, n.Keys, nil))
	f = b.byKeys(f, keys)
	out := b.chain(f, n, n.Label()+" (final)", n.Schema(), spec(jobgraph.Phase_PHASE_FINAL, keys, closingOf(n.Input, n.Keys, true)))
	out.hashed = keys
	return out, nil
}

// updatingJoin keeps both sides, by key, for as long as they may find partners.
func (b *builder) updatingJoin(n *plan.Join) (*fragment, error) {
	left, err := b.node(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := b.node(n.Right)
	if err != nil {
		return nil, err
	}
	f := &fragment{}
	if len(n.LeftKeys) == 0 || left.single() && right.single() {
		f.vertex = b.open(1)
		b.connect(left, f.vertex, intoOne(left))
		b.connect(right, f.vertex, intoOne(right))
	} else {
		f.vertex = b.open(b.o.Parallelism)
		b.connect(left, f.vertex, b.meeting(left, n.LeftKeys))
		b.connect(right, f.vertex, b.meeting(right, n.RightKeys))
	}
	bounds := plan.BoundsOf(n)
	spec := &jobgraph.UpdatingJoin{
		Type: jobgraph.JoinType(n.Kind), LeftKeys: refs(n.LeftKeys), RightKeys: refs(n.RightKeys),
		LeftRetracting: retracts(n.Left), RightRetracting: retracts(n.Right),
		LeftClosing: sideClosing(bounds.Left), RightClosing: sideClosing(bounds.Right),
		AtClosing: n.AtClosing(), LeftKeepMillis: b.o.KeepMillis, RightKeepMillis: b.o.KeepMillis,
	}
	if n.Residual != nil {
		spec.Residual = expr.ToProto(n.Residual)
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_UpdatingJoin{UpdatingJoin: spec}})
	switch {
	case out.single(), n.Kind == plan.Full:
	case n.Kind == plan.Right:
		out.hashed = shifted(n.RightKeys, len(n.Left.Schema()))
	default:
		out.hashed = n.LeftKeys
	}
	return out, nil
}

// groupTop keeps the first rows of each group where the group is.
func (b *builder) groupTop(n *plan.GroupTop) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	f = b.meet(f, n.Groups)
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_UpdatingTopN{UpdatingTopN: &jobgraph.UpdatingTopN{
		Groups: refs(n.Groups), Order: sortKeys(n.Order), Ranking: rankingProto(n.Function), Offset: n.Offset, Limit: n.Count, Rank: n.Rank,
		Retracting: retracts(n.Input), UpdateBefore: b.before(n), Closing: closingOf(n.Input, n.Groups, false), KeepMillis: b.o.KeepMillis,
	}}})
	out.hashed = n.Groups
	return out, nil
}

func (b *builder) updatingOver(n *plan.Over) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	f = b.meet(f, n.Partition)
	over := overProto(n)
	spec := &jobgraph.UpdatingOver{
		Partition: over.Partition, Order: over.Order, Calls: over.Calls, Retracting: retracts(n.Input), UpdateBefore: true, KeepMillis: b.o.KeepMillis,
	}
	if plan.ClosingOrder(n) {
		after, _ := plan.Closing(n.Input, n.Order[0].Column)
		spec.Closing = &jobgraph.Closing{Column: uint32(n.Order[0].Column), AfterMillis: after}
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_UpdatingOver{UpdatingOver: spec}})
	out.hashed = n.Partition
	return out, nil
}

func (b *builder) materialize(n *plan.Materialize) (*fragment, error) {
	if column := nested(n); column != "" && n.Upserts { // of others Settle has seen to it
		return nil, sqlerr.New(sqlerr.Unsupported, n.At(), "the latest row of each key cannot be kept with column %s, which is an array, a map or a row", column).
			Suggest("leave the column out, or declare it as a STRING")
	}
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	keys := n.Keys
	if len(keys) == 0 {
		keys = firstColumns(len(n.Schema()))
	}
	if b.gathered[n] {
		keys = nil
	}
	f = b.meet(f, keys)
	spec := &jobgraph.Materialize{Keys: refs(n.Keys), AtEnd: n.AtEnd, UpdateBefore: b.before(n), KeyOnly: !b.before(n), Upserts: n.Upserts}
	if !n.AtEnd {
		spec.KeepMillis = b.o.KeepMillis
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Materialize{Materialize: spec}})
	out.hashed = keys
	return out, nil
}

// windowTable gives rows their windows where they are.
func (b *builder) windowTable(n *plan.WindowTVF) (*fragment, error) {
	if n.Window.Kind == plan.Session { // others are gone
		return nil, sqlerr.New(sqlerr.Unsupported, n.At(), "streaming mode takes SESSION windows only over inserts, by their event time").
			Suggest("window the table itself, or run it on bounded tables with --mode batch")
	}
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_WindowTable{WindowTable: &jobgraph.WindowTable{
		Window: windowProto(n.Window), TimeColumn: uint32(n.Time),
	}}})
	out.hashed = f.hashed
	return out, nil
}

func windowProto(w plan.Window) *jobgraph.Window {
	return &jobgraph.Window{
		Kind: jobgraph.WindowKind(w.Kind), SizeMillis: w.SizeMillis, SlideMillis: w.SlideMillis, OffsetMillis: w.OffsetMillis,
	}
}

// before reports whether the updates of n have to tell what was before.
// They have to where there are several readers, of which some may take no less.
func (b *builder) before(n plan.Node) bool { return !b.withoutBefore[n] || b.several[n] }

// sideClosing is the bound of a join's side as operators take it.
func sideClosing(s plan.SideBound) *jobgraph.Closing {
	if s.Column < 0 {
		return nil
	}
	return &jobgraph.Closing{Column: uint32(s.Column), AfterMillis: s.AfterMillis}
}

func rankingProto(function string) jobgraph.Ranking {
	return map[string]jobgraph.Ranking{
		"ROW_NUMBER": jobgraph.Ranking_RANKING_ROW_NUMBER, "RANK": jobgraph.Ranking_RANKING_RANK, "DENSE_RANK": jobgraph.Ranking_RANKING_DENSE_RANK,
	}[function]
}
