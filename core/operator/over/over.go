package over

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/stream"
)

// boundsBytes is what each row of a section needs beside its columns: four bounds
// and two flags.
const boundsBytes = 18

// Over is the operator of a jobgraph.Over.
type Over struct {
	names     []string // of the calls
	columns   []column
	needed    []int         // input columns that the calls look at
	partition []rowsort.Key // of the input
	local     []rowsort.Key // partition over the needed columns
	order     []rowsort.Key // over the needed columns
	output    *arrow.Schema
	rowBytes  int64 // that a row of a section needs, beside its columns

	whole  bool // partitions are kept until they are complete
	spills bool // they may be put into a file

	ctx      *operator.Context
	share    *ledger.Share
	kept     rows
	reserved int // rows for which memory is charged
	bounds   bounds

	// Where partitions are not kept whole:
	done    int   // rows of kept that are emitted
	dropped int64 // rows of kept's first partition that are gone
	next    int   // kept rows from which on a section is worth it

	last    int        // first row of the last partition in kept, where they are kept whole
	spilled *partition // it, if it is in a file
}

// New returns the operator that spec describes over input columns of in.
func New(spec *jobgraph.Over, in datatype.Schema) (operator.Operator, error) {
	o := &Over{spills: true, rowBytes: boundsBytes}
	for _, p := range spec.Partition {
		if int(p) >= len(in) {
			return nil, fmt.Errorf("over: partition column %d of %d", p, len(in))
		}
		key := rowsort.Key{Column: int(p), Order: compute.Order{NullsFirst: true}}
		o.partition = append(o.partition, key)
		key.Column = o.need(p)
		o.local = append(o.local, key)
	}
	for _, k := range spec.Order {
		if int(k.Column) >= len(in) {
			return nil, fmt.Errorf("over: order column %d of %d", k.Column, len(in))
		}
		o.order = append(o.order, rowsort.Key{Column: o.need(k.Column), Order: compute.Order{Descending: k.Descending, NullsFirst: k.NullsFirst}})
	}
	out := append(datatype.Schema(nil), in...)
	var order datatype.Schema
	for _, k := range spec.Order {
		order = append(order, in[k.Column])
	}
	for _, c := range spec.Calls {
		if err := checkMonths(c.Frame, order); err != nil {
			return nil, fmt.Errorf("over: %s: %w", c.Call.Function, err)
		}
		t, err := datatype.Parse(c.Call.Type)
		if err != nil {
			return nil, fmt.Errorf("over: type of %s: %w", c.Call.Function, err)
		}
		if err := o.addCall(c); err != nil {
			return nil, fmt.Errorf("over: %s: %w", c.Call.Function, err)
		}
		out = append(out, datatype.Field{Name: c.Call.Name, Type: t})
	}
	o.output = out.Arrow()
	o.spills = o.spills && o.whole
	return o, nil
}

// need returns the place of an input column among the needed ones.
func (o *Over) need(column uint32) int {
	at := slices.Index(o.needed, int(column))
	if at < 0 {
		at = len(o.needed)
		o.needed = append(o.needed, int(column))
	}
	return at
}

func (o *Over) addCall(c *jobgraph.OverCall) error {
	call := &jobgraph.AggregateCall{
		Function: c.Call.Function, ArgTypes: c.Call.ArgTypes, Distinct: c.Call.Distinct, Filter: c.Call.Filter, Type: c.Call.Type, Name: c.Call.Name,
	}
	for _, a := range c.Call.Args {
		call.Args = append(call.Args, uint32(o.need(a)))
	}
	if call.Filter >= 0 {
		call.Filter = int32(o.need(uint32(call.Filter)))
	}
	local := &jobgraph.OverCall{Call: call, Frame: c.Frame, IgnoreNulls: c.IgnoreNulls}
	if err := check(local, o.order); err != nil {
		return err
	}
	col, need, bytes, err := newColumn(local)
	if err != nil {
		return err
	}
	o.names = append(o.names, c.Call.Function)
	o.columns = append(o.columns, col)
	o.whole = o.whole || need.end
	o.spills = o.spills && !need.memory
	o.rowBytes += bytes + 8 // and its frame
	return nil
}

// Open implements operator.Operator.
func (o *Over) Open(ctx *operator.Context) error {
	o.ctx = ctx
	if o.spills {
		o.share = ctx.Contend()
		o.kept.share = o.share
	}
	for _, c := range o.columns {
		setContext(c, ctx)
	}
	o.next = ctx.BatchRows
	return nil
}

// Process implements operator.Operator: it keeps the batch, and computes what is
// worth it.
func (o *Over) Process(_ int, b *stream.Batch) error {
	b, err := o.take(b)
	if err != nil {
		return fmt.Errorf("over: %w", err)
	}
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	if o.whole {
		return o.keepWhole(b)
	}
	return o.keep(b)
}

func (o *Over) take(b *stream.Batch) (taken *stream.Batch, err error) {
	defer ledger.Recover(&err)
	return compute.TakeBatch(o.ctx.Alloc, b)
}

// keep keeps rows of partitions of which the end is not needed, and computes a
// section when there are enough new rows beside those that are only looked at.
func (o *Over) keep(b *stream.Batch) error {
	o.kept.add(b)
	if err := o.reserve(o.kept.n); err != nil {
		return fmt.Errorf("over: keep rows for %s: %w", o.keepers(), err)
	}
	if o.kept.n < o.next {
		return nil
	}
	_, err := o.section(o.kept.n, true, nil)
	return err
}

// keepWhole keeps rows until their partitions are complete.
func (o *Over) keepWhole(b *stream.Batch) (err error) {
	if o.spilled != nil {
		if b, err = o.appendSpilled(b); b == nil || err != nil {
			return err
		}
	}
	starts, err := o.lastStart(b.Record)
	if err != nil {
		b.Release()
		return err
	}
	if starts >= 0 {
		o.last = o.kept.n + starts
	}
	o.kept.add(b)
	if o.share.Over() {
		return o.spillPartition()
	}
	if err := o.reserve(o.kept.n); err != nil {
		if !o.spills {
			return fmt.Errorf("over: keep a partition for %s: %w", o.keepers(), err)
		}
		return o.spillPartition()
	}
	if o.last == 0 || o.kept.n < o.ctx.BatchRows {
		return nil
	}
	return o.complete()
}

// complete computes the partitions that are complete.
func (o *Over) complete() error {
	if o.last == 0 {
		return nil
	}
	bound, err := o.section(o.last, false, nil)
	o.last = 0
	if err != nil && !bound && o.spills {
		return o.again()
	}
	return err
}

// lastStart is the first row of the last partition in record, which follows what
// is kept; -1 if that began before.
func (o *Over) lastStart(record arrow.RecordBatch) (int, error) {
	if len(o.partition) == 0 {
		return -1, nil
	}
	same, err := rowsort.Comparers(record, record, o.partition)
	if err != nil {
		return 0, fmt.Errorf("over: %w", err)
	}
	for i := int(record.NumRows()) - 1; i > 0; i-- {
		if rowsort.Compare(same, i-1, i) != 0 {
			return i, nil
		}
	}
	if len(o.kept.parts) == 0 {
		return -1, nil
	}
	before := o.kept.parts[len(o.kept.parts)-1].Record
	if same, err = rowsort.Comparers(before, record, o.partition); err != nil {
		return 0, fmt.Errorf("over: %w", err)
	}
	if rowsort.Compare(same, int(before.NumRows())-1, 0) != 0 {
		return 0, nil
	}
	return -1, nil
}

// reserve charges what a section of n rows needs.
func (o *Over) reserve(n int) error {
	if n <= o.reserved {
		return nil
	}
	n += n / 4 // as buffers grow
	if err := o.ctx.Memory.Grow(int64(n-o.reserved) * o.rowBytes); err != nil {
		return err
	}
	o.reserved = n
	return nil
}

// unreserve gives back what is charged for sections, with their buffers.
func (o *Over) unreserve() {
	if o.reserved > 0 {
		o.ctx.Memory.Shrink(int64(o.reserved) * o.rowBytes)
	}
	o.reserved, o.bounds = 0, bounds{}
	for _, c := range o.columns {
		c.shed()
	}
}

// keepers names the calls that keep partitions, or else all calls.
func (o *Over) keepers() string {
	names := slices.Clone(o.names)
	slices.Sort(names)
	return fmt.Sprint(slices.Compact(names))
}

// Spill implements operator.Spiller.
func (o *Over) Spill() error {
	if !o.spills || o.kept.n == 0 || o.spilled != nil {
		return nil
	}
	return o.spillPartition()
}

// Watermark implements operator.Operator.
func (o *Over) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator: the last partition is complete.
func (o *Over) EndInput(int) error {
	for o.spilled != nil || o.kept.n > 0 {
		if o.spilled != nil {
			if err := o.replay(); err != nil {
				return err
			}
			continue
		}
		o.last = 0
		bound, err := o.section(o.kept.n, false, nil)
		if err != nil && !bound && o.spills {
			err = o.again()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements operator.Operator.
func (o *Over) Close() error {
	o.kept.release()
	for _, c := range o.columns {
		c.release()
	}
	err := o.spilled.remove()
	o.spilled = nil
	if o.ctx != nil {
		o.unreserve()
	}
	o.share.Leave()
	return err
}

var (
	_ operator.Operator = (*Over)(nil)
	_ operator.Spiller  = (*Over)(nil)
)
