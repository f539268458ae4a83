package updateagg

import (
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// groupTable is the table of the groups in keyed state; those of values follow, one for
// each call.
const groupTable = 1

// heldGroups is how many groups are held back at most, or kept by a partial phase.
const heldGroups = 1 << 16

// Aggregate is the operator of a jobgraph.UpdatingAggregate.
type Aggregate struct {
	spec       *jobgraph.UpdatingAggregate
	keys       []int           // input columns
	keyTypes   datatype.Schema // never empty: without keys, a constant
	global     bool
	partial    bool
	final      bool
	retracting bool // rows may be taken back from accumulators
	closing    int  // input column, -1: none
	after      int64
	closeType  datatype.Type
	acc        *aggregate.Accumulators
	rows       int // the accumulator column that counts rows
	calls      []way
	listed     []int // input columns that lists keep
	lists      datatype.Schema
	in         datatype.Schema
	arrow      *arrow.Schema

	ctx     *operator.Context
	own     state.Backend // where the job keeps no state
	table   state.Table
	values  []state.Table // by call, nil: none
	spaces  map[int64]*space
	only    *space // where nothing closes
	pending changes
	closed  stream.Watermark
	late    aside.Late
	now     int64 // milliseconds as of the last tick; 1 before it
	since   int64 // the tick that first found something held back, 0: none
	cursor  int   // of forgetting
	part    grouping

	batch batch
}

// way is how a call follows its input.
type way uint8

const (
	invalidWay way = iota
	direct         // rows are added to and taken back from the accumulator
	counted        // different values are counted
	kept           // rows are kept
)

// String is the way in a word.
func (w way) String() string {
	switch w {
	case direct:
		return "direct"
	case counted:
		return "counted"
	case kept:
		return "kept"
	default:
		return "invalid"
	}
}

// Splittable reports whether a call over an input, which takes rows back or not, may run
// as a partial and a final phase.
func Splittable(c *jobgraph.AggregateCall, retracting bool) bool {
	return aggregate.Splittable(c) && (!retracting || aggregate.Retractable(c))
}

// AccumulatorTypes returns the types of a call's accumulator columns: what a partial
// phase emits for it. The number of rows, BIGINT NOT NULL, comes after those of all.
func AccumulatorTypes(c *jobgraph.AggregateCall, retracting bool) ([]datatype.Type, error) {
	if retracting {
		return aggregate.RetractingTypes(c)
	}
	return aggregate.AccumulatorTypes(c)
}

// rowCount is the call that counts a group's rows.
func rowCount() *jobgraph.AggregateCall {
	return &jobgraph.AggregateCall{Function: "COUNT", Filter: -1, Type: "BIGINT NOT NULL", Name: "rows"}
}

// New returns the operator that spec describes over input columns of in, with output
// columns out.
func New(spec *jobgraph.UpdatingAggregate, in, out datatype.Schema) (operator.Operator, error) {
	a := &Aggregate{
		spec: spec, global: len(spec.Keys) == 0, retracting: spec.Retracting, closing: -1, in: in, arrow: out.Arrow(),
		partial: spec.Phase == jobgraph.Phase_PHASE_PARTIAL, final: spec.Phase == jobgraph.Phase_PHASE_FINAL,
		spaces: map[int64]*space{}, closed: stream.MinWatermark, now: 1,
	}
	if spec.Phase < jobgraph.Phase_PHASE_SINGLE || spec.Phase > jobgraph.Phase_PHASE_FINAL {
		return nil, fmt.Errorf("updating aggregate: phase %v", spec.Phase)
	}
	if err := a.plan(in); err != nil {
		return nil, fmt.Errorf("updating aggregate: %w", err)
	}
	want := len(a.keys) + len(spec.Calls)
	if a.partial {
		want = len(a.keys) + len(a.acc.Columns())
	}
	if len(out) != want {
		return nil, fmt.Errorf("updating aggregate: %d output columns, want %d", len(out), want)
	}
	return a, nil
}

func (a *Aggregate) plan(in datatype.Schema) (err error) {
	for i, k := range a.spec.Keys {
		at := int(k)
		if a.final {
			at = i
		}
		if at >= len(in) {
			return fmt.Errorf("key column %d of %d", at, len(in))
		}
		if c := a.spec.Closing; c != nil && c.Column == k && !a.partial {
			a.closing, a.after, a.closeType = at, c.AfterMillis, in[at].Type
		}
		a.keys, a.keyTypes = append(a.keys, at), append(a.keyTypes, in[at])
	}
	if a.global {
		a.keyTypes = datatype.Schema{{Name: "all", Type: datatype.Of(datatype.BigInt).NotNull()}}
	}
	if a.spec.Closing != nil && !a.partial && (a.closing < 0 || !a.closeType.IsTimestamp()) {
		return fmt.Errorf("closing by column %d, which is no timestamp among the keys", a.spec.Closing.Column)
	}
	calls := append(slices.Clone(a.spec.Calls), rowCount())
	if a.retracting {
		a.acc, err = aggregate.NewRetracting(calls)
	} else {
		a.acc, err = aggregate.NewAccumulators(calls)
	}
	if err != nil {
		return err
	}
	a.rows = len(a.acc.Columns()) - 1
	if want := len(a.keys) + len(a.acc.Columns()); a.final && len(in) != want {
		return fmt.Errorf("a final phase of %d columns, want %d", len(in), want)
	}
	return a.planCalls(calls, in)
}

// planCalls chooses the ways.
func (a *Aggregate) planCalls(calls []*jobgraph.AggregateCall, in datatype.Schema) error {
	var needed []int
	for _, c := range calls {
		if a.spec.Phase != jobgraph.Phase_PHASE_SINGLE {
			if !Splittable(c, a.retracting) {
				return fmt.Errorf("%s cannot run in phases", c.Function)
			}
			a.calls = append(a.calls, direct)
			continue
		}
		columns := make([]int, 0, len(c.Args)+1)
		for _, arg := range c.Args {
			columns = append(columns, int(arg))
		}
		if c.Filter >= 0 {
			columns = append(columns, int(c.Filter))
		}
		for _, column := range columns {
			if column >= len(in) {
				return fmt.Errorf("%s of column %d of %d", c.Function, column, len(in))
			}
		}
		w := wayOf(c, a.retracting)
		a.calls = append(a.calls, w)
		if w == kept {
			needed = append(needed, columns...)
		}
	}
	slices.Sort(needed)
	a.listed = slices.Compact(needed)
	for _, column := range a.listed {
		a.lists = append(a.lists, in[column])
	}
	return nil
}

// KeepsValues reports whether an operator of one phase keeps the different values of a call by
// group beside its accumulators.
func KeepsValues(c *jobgraph.AggregateCall, retracting bool) bool {
	return wayOf(c, retracting) == counted
}

// KeepsRows reports whether it keeps the rows of a call.
func KeepsRows(c *jobgraph.AggregateCall, retracting bool) bool { return wayOf(c, retracting) == kept }

func wayOf(c *jobgraph.AggregateCall, retracting bool) way {
	switch {
	case aggregate.NeedsDistinct(c):
		return counted
	case !retracting || aggregate.Retractable(c):
		return direct
	case picks(c):
		return counted
	default:
		return kept
	}
}

// picks reports whether a call gives one of its values, whatever their order.
func picks(c *jobgraph.AggregateCall) bool {
	switch c.Function {
	case "MIN", "MAX", "ANY_VALUE", "BOOL_AND", "BOOL_OR", "EVERY", "SOME":
		return true
	default:
		return false
	}
}

// Late is the number of rows that were left out because they came too late.
func (a *Aggregate) Late() int64 { return a.late.Count() }

// Open implements operator.Operator.
func (a *Aggregate) Open(ctx *operator.Context) (err error) {
	a.ctx = ctx
	if a.partial {
		return nil
	}
	if err = a.late.Open(ctx, a.in, a.closing); err != nil {
		return err
	}
	if a.pending.before, err = columnsOf(a.acc.Columns()); err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	if err := a.openTables(); err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	if a.closed, err = ctx.RestoredWatermark(a.closed); err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	for _, ns := range a.table.Namespaces() {
		s, err := a.space(ns)
		if err == nil {
			err = a.restore(s)
		}
		if err != nil {
			return fmt.Errorf("updating aggregate: restore groups: %w", err)
		}
	}
	if a.closing < 0 {
		if a.only, err = a.space(0); err != nil {
			return fmt.Errorf("updating aggregate: %w", err)
		}
	}
	return nil
}

func (a *Aggregate) openTables() (err error) {
	backend := a.ctx.State
	if backend == nil {
		a.own = memstate.New(1, keygroup.Range{Last: 1}, a.ctx.Alloc, a.ctx.Memory)
		backend = a.own
	}
	columns := a.acc.Columns()
	if a.spec.KeepMillis > 0 {
		columns = append(slices.Clone(columns), datatype.Field{Name: "touched", Type: datatype.Of(datatype.BigInt).NotNull()})
	}
	a.table, err = backend.Table(state.TableSpec{
		ID: groupTable, Name: "groups", Keys: a.keyTypes, Values: columns, List: a.lists, Evictable: a.evictable(),
	})
	if err != nil {
		return err
	}
	a.values = make([]state.Table, len(a.calls))
	for i, w := range a.calls {
		if w != counted {
			continue
		}
		keys := slices.Clone(a.keyTypes)
		for _, arg := range a.spec.Calls[i].Args {
			keys = append(keys, a.in[arg])
		}
		spec := state.TableSpec{ID: groupTable + 1 + uint16(i), Name: "values", Keys: keys, Values: valueColumns(), Routed: len(a.keyTypes), Evictable: a.spec.KeepMillis == 0 && !a.linked(i)}
		if a.values[i], err = backend.Table(spec); err != nil {
			return err
		}
	}
	return nil
}

// evictable reports whether groups may leave memory: where nothing else is known of them
// by their slots, nor bytes of them charged.
func (a *Aggregate) evictable() bool {
	for i, w := range a.calls {
		if w == counted && a.linked(i) {
			return false
		}
	}
	return !a.global && a.spec.KeepMillis == 0 && !slices.ContainsFunc(a.acc.Columns(), func(f datatype.Field) bool {
		return hashtable.StorageOf(f.Type) == hashtable.Chars
	})
}

// LetGo implements operator.Holder: changes that are held back are told.
func (a *Aggregate) LetGo() error {
	if a.partial || a.closing >= 0 {
		return nil
	}
	if err := a.tell(); err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	return nil
}

// Process implements operator.Operator.
func (a *Aggregate) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	err := a.process(b)
	if err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	return nil
}

// Watermark implements operator.Operator: it closes, or passes on what a partial phase has.
// Changes that are held back may come behind it but for the last one: nobody closes by
// columns of groups that do not.
func (a *Aggregate) Watermark(w stream.Watermark) error {
	var err error
	switch {
	case a.partial:
		err = a.pass()
	case a.closing >= 0:
		err = a.close(w)
	case w == stream.MaxWatermark:
		err = a.tell()
	}
	if err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	return nil
}

// Snapshot implements operator.Snapshotter. Nothing is held back at a barrier, so that
// keyed state says everything.
func (a *Aggregate) Snapshot(stream.Barrier) ([]byte, error) {
	if a.closing >= 0 {
		return operator.SaveWatermark(a.closed), nil
	}
	return nil, a.drain()
}

// Completed implements operator.Snapshotter.
func (a *Aggregate) Completed(id.Checkpoint) error { return nil }

// EndInput implements operator.Operator: without keys there is a result of no rows, too.
func (a *Aggregate) EndInput(int) error {
	if err := a.drain(); err != nil {
		return err
	}
	if !a.global || a.partial || a.only.exists {
		return nil
	}
	if err := a.tellNothing(); err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	return nil
}

// drain emits everything that is held back.
func (a *Aggregate) drain() (err error) {
	switch {
	case a.partial:
		err = a.pass()
	case a.closing < 0:
		err = a.tell()
	}
	if err != nil {
		return fmt.Errorf("updating aggregate: %w", err)
	}
	return nil
}

// Tick implements operator.Ticker.
func (a *Aggregate) Tick(now time.Time) error {
	a.now = now.UnixMilli()
	if len(a.pending.slots) > 0 || a.part.table != nil && a.part.table.Len() > 0 {
		if a.since == 0 {
			a.since = a.now
		}
		if a.now-a.since >= a.spec.HoldMillis {
			if err := a.drain(); err != nil {
				return err
			}
		}
	}
	if a.spec.KeepMillis == 0 || a.partial || a.closing >= 0 {
		return nil
	}
	if err := a.forgetOld(); err != nil {
		return fmt.Errorf("updating aggregate: forget groups: %w", err)
	}
	return nil
}

// Close implements operator.Operator.
func (a *Aggregate) Close() error {
	if a.ctx == nil {
		return nil
	}
	a.part.release(a.ctx.Memory)
	if a.batch.zeros != nil {
		a.batch.zeros.Release()
		a.batch.zeros = nil
	}
	for _, s := range a.spaces {
		a.ctx.Memory.Shrink(s.charged)
	}
	clear(a.spaces)
	if a.own != nil {
		return a.own.Close()
	}
	return nil
}

var (
	_ operator.Operator    = (*Aggregate)(nil)
	_ operator.Snapshotter = (*Aggregate)(nil)
	_ operator.Ticker      = (*Aggregate)(nil)
	_ operator.Holder      = (*Aggregate)(nil)
)
