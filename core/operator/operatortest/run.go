package operatortest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/datatype"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// Groups is the number of key groups of the backends that the harness asks for.
const Groups = 16

// Case is an operator's behaviour.
type Case struct {
	// New makes the operator; it is called for every run.
	New func() (operator.Operator, error)
	// Inputs are the tables that go in. Of several inputs all end before the
	// final watermark; before, it is the least of those inputs that bring any.
	Inputs []Table
	// Output is the schema of what comes out, for printing.
	Output datatype.Schema
	// Want are the rows that come out, as text without a schema.
	Want string
	// Twin computes the rows that must come out of random input; Want then is not
	// needed.
	Twin func(in [][][]any) [][]any
	// Changelog says that not the changes matter that come out but the rows that they
	// leave. A change that takes back what is not there is an error.
	Changelog bool
	// Upsert are the columns by which changes replace each other: updates come without
	// what was before, and of deletes no more than these columns must be right.
	Upsert []int
	// Ordered says that the order of rows matters.
	Ordered bool
	// Stateful says that the operator takes part in checkpoints.
	Stateful bool
	// Backend makes keyed state; nil: the operator gets none.
	Backend func(alloc memory.Allocator, account stream.Account) (state.Backend, error)
	// BatchRows is the most rows that a batch may have; 0: 4.
	BatchRows int
	// Spills says that the operator spills: it must do the same with random rows of
	// the inputs' schemas when memory has a budget far below them.
	Spills bool
	// SpillRows is how many rows that are; 0: 24 000.
	SpillRows int
	// SpillRow may change the n-th of these rows.
	SpillRow func(n int, row []any)
	// Undrained says that there is no final watermark at the end of input.
	Undrained bool

	spill *spill.Directory // of all runs of the case; nil: each opens one
}

// T is the part of testing.T that the harness uses.
type T interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	// Fatalf ends the test; it does not return.
	Fatalf(format string, args ...any)
	Failed() bool
}

// Run checks the case in every way.
func Run(t T, c Case) {
	t.Helper()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	if c.BatchRows == 0 {
		c.BatchRows = 4
	}
	dir, err := spill.Open("", 0)
	if err != nil {
		t.Fatalf("%v", err)
	}
	c.spill = dir
	defer func() {
		if err := dir.Close(); err != nil {
			t.Errorf("%v", err)
		}
	}()
	c.check(t, "", 1)
	if c.Backend != nil {
		c.onDisk(t)
	}
	if c.Spills {
		c.spills(t)
	}
	if c.Twin == nil {
		return
	}
	for seed := range uint64(8) {
		nulls := c
		nulls.Inputs = withNulls(c.Inputs, seed)
		nulls.plain(t, fmt.Sprintf("nulls %d: ", seed), seed)
	}
}

func (c Case) check(t T, label string, seed uint64) {
	t.Helper()
	steps := c.plain(t, label, seed)
	way := variant{batch: 2, sel: true, dictionaries: true, seed: seed}
	c.stopped(t, way, steps)
	if c.Stateful {
		c.restored(t, way, steps)
	}
}

// variant is one way to feed an operator.
type variant struct {
	batch        int
	sel          bool
	dictionaries bool
	seed         uint64

	stopAt    int // step before which the run is closed; 0: never
	restoreAt int // step before which it is restored; 0: never
	chainAt   int // first step of which a snapshot is taken, more being built on it; 0: none
	chainBy   int // steps between these
	failEmit  int // emit that fails, from 1; 0: none
	failGrow  int // charge that fails, from 1; 0: none
}

func (v variant) String() string {
	return fmt.Sprintf("batch %d, selection %v, dictionaries %v, seed %d, stop %d, restore %d, chain %d by %d, fail emit %d, fail charge %d",
		v.batch, v.sel, v.dictionaries, v.seed, v.stopAt, v.restoreAt, v.chainAt, v.chainBy, v.failEmit, v.failGrow)
}

// plain runs to the end in every shape of batches and returns the steps of one.
func (c Case) plain(t T, label string, seed uint64) int {
	t.Helper()
	want := c.want()
	for _, size := range []int{1, 3, 1 << 16} {
		for _, sel := range []bool{false, true} {
			for _, dictionaries := range []bool{false, true} {
				way := variant{batch: size, sel: sel, dictionaries: dictionaries, seed: seed}
				r := c.run(t, way)
				if r.err != nil {
					t.Fatalf("%s%v: %v", label, way, r.err)
				}
				c.compare(t, label+way.String(), r.rows, want)
			}
		}
	}
	return c.run(t, variant{batch: 2, sel: true, dictionaries: true, seed: seed}).steps
}

func (c Case) want() []string {
	if c.Twin == nil {
		if strings.TrimSpace(c.Want) == "" {
			return nil
		}
		header := ""
		for i, f := range c.Output {
			if i > 0 {
				header += ", "
			}
			header += datatype.QuoteName(f.Name) + " " + f.Type.String()
		}
		return printedSteps(c.Output, Parse(header+"\n"+strings.TrimSpace(c.Want)).Steps)
	}
	in := make([][][]any, len(c.Inputs))
	for i, t := range c.Inputs {
		in[i] = t.Rows()
	}
	return printed(c.Output, c.Twin(in))
}

func printed(s datatype.Schema, rows [][]any) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = FormatRow(s, r)
	}
	return out
}

func printedSteps(s datatype.Schema, steps []Step) []string {
	out := make([]string, len(steps))
	for i, step := range steps {
		if out[i] = FormatRow(s, step.Row); step.Kind > stream.Insert {
			out[i] = step.Kind.String() + " " + out[i]
		}
	}
	return out
}

func (c Case) compare(t T, label string, got, want []string) {
	t.Helper()
	if !c.Ordered {
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\ngot\n  %s\nwant\n  %s", label, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// stopped closes after every step, fails at every emit and at every charge.
func (c Case) stopped(t T, way variant, steps int) {
	t.Helper()
	for way.stopAt = 1; way.stopAt <= steps; way.stopAt++ {
		if r := c.run(t, way); r.err != nil {
			t.Fatalf("%v: %v", way, r.err)
		}
	}
	way.stopAt = 0
	for way.failEmit = 1; ; way.failEmit++ {
		r := c.run(t, way)
		if r.emits < way.failEmit {
			break
		}
		if !errors.Is(r.err, errStopped) {
			t.Fatalf("%v: the error of the output came back as %v", way, r.err)
		}
	}
	way.failEmit = 0
	for way.failGrow = 1; way.failGrow < 200; way.failGrow++ {
		r := c.run(t, way)
		if r.charges < way.failGrow {
			break
		}
		if r.err != nil && !errors.Is(r.err, errExhausted) {
			t.Fatalf("%v: the error of the account came back as %v", way, r.err)
		}
		if r.err == nil {
			c.compare(t, way.String(), r.rows, c.want())
		}
	}
}

func (c Case) restored(t T, way variant, steps int) {
	t.Helper()
	want := c.want()
	for way.restoreAt = 1; way.restoreAt <= steps; way.restoreAt++ {
		r := c.run(t, way)
		if r.err != nil {
			t.Fatalf("%v: %v", way, r.err)
		}
		c.compare(t, way.String(), r.rows, want)
	}
	if way.restoreAt = 0; c.Backend == nil {
		return
	}
	for _, way.chainAt = range []int{1, 2, max(steps/2, 3)} {
		for way.chainBy = 1; way.chainBy <= 3; way.chainBy++ {
			r := c.run(t, way)
			if r.err != nil {
				t.Fatalf("%v: %v", way, r.err)
			}
			c.compare(t, way.String(), r.rows, want)
		}
	}
}

var (
	errStopped   = errors.New("output stopped")
	errExhausted = errors.New("account exhausted")
)

// result is what became of a run.
type result struct {
	rows    []string
	steps   int
	emits   int
	charges int
	err     error
}

// account counts, and refuses one charge.
type account struct {
	used    int64
	charges int
	refuse  int
}

func (a *account) Grow(n int64) error {
	if a.charges++; a.charges == a.refuse {
		return errExhausted
	}
	a.used += n
	return nil
}

func (a *account) Shrink(n int64) { a.used -= n }

// sink collects what an operator emits.
type sink struct {
	c     *Case
	r     *result
	fail  int
	limit int
	bad   error
	table folding // of a changelog
}

func (s *sink) Emit(b *stream.Batch) error {
	defer b.Release()
	if s.r.emits++; s.r.emits == s.fail {
		return errStopped
	}
	if b.Len() > s.limit {
		s.bad = fmt.Errorf("batch of %d rows, want at most %d", b.Len(), s.limit)
	}
	if n := int(b.Record.NumCols()); n != len(s.c.Output) {
		return fmt.Errorf("batch of %d columns, want %d", n, len(s.c.Output))
	}
	if s.c.Changelog {
		s.fold(b)
		return nil
	}
	s.r.rows = append(s.r.rows, printedSteps(s.c.Output, readSteps(b))...)
	return nil
}

// fold applies the changes of a batch.
func (s *sink) fold(b *stream.Batch) {
	s.table.schema, s.table.keys = s.c.Output, s.c.Upsert
	for _, step := range readSteps(b) {
		if err := s.table.apply(step.Kind, step.Row); err != nil && s.bad == nil {
			s.bad = err
		}
	}
	s.r.rows = printed(s.c.Output, s.table.rows)
}

func (s *sink) Advance(w stream.Watermark) error {
	s.r.rows = append(s.r.rows, fmt.Sprintf("watermark %d", int64(w)))
	return nil
}

func (s *sink) Idle(idle bool) error {
	s.r.rows = append(s.r.rows, fmt.Sprintf("idle %v", idle))
	return nil
}

// run makes an operator, feeds it and closes it.
func (c Case) run(t T, way variant) (r result) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	acct := &account{refuse: way.failGrow}
	out := &sink{c: &c, r: &r, fail: way.failEmit, limit: c.BatchRows}
	f := &feed{c: &c, way: way, mem: mem, rand: rand.New(rand.NewPCG(way.seed, 7)), account: acct, out: out}
	r.err = f.run()
	if r.err == nil {
		r.err = out.bad
	}
	r.steps, r.charges = f.step, acct.charges
	mem.AssertSize(t, 0)
	if acct.used != 0 {
		t.Fatalf("%v: %d bytes stay charged", way, acct.used)
	}
	if t.Failed() {
		t.Fatalf("%v: memory is left", way)
	}
	return r
}

// feed drives one operator.
type feed struct {
	c       *Case
	way     variant
	mem     memory.Allocator
	rand    *rand.Rand
	account *account
	out     *sink
	op      operator.Operator
	backend state.Backend
	ctx     *operator.Context
	step    int
	now     int64 // of the last tick, milliseconds; 0: none
	ended   []bool
	times   []stream.Watermark // by input; of those that bring none, the last
	dir     *spill.Directory   // of this run alone
	space   *spill.Space
	spilled int64
	limited *ledger.Account // nil: no budget
	kept    kept            // of a chain of snapshots
}

var errClosed = errors.New("closed by the test")

func (f *feed) run() (err error) {
	defer f.kept.release()
	if err = f.open(nil, nil); err == nil {
		err = f.all()
	}
	if e := f.close(); err == nil {
		err = e
	}
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}

// open makes the operator, with what was saved; restore, unless nil, fills its keyed
// state.
func (f *feed) open(saved []byte, restore func(state.Backend) error) (err error) {
	if f.op, err = f.c.New(); err != nil {
		return err
	}
	dir := f.c.spill
	if dir == nil {
		if f.dir, err = spill.Open("", 0); err != nil {
			return err
		}
		dir = f.dir
	}
	f.space = dir.Space("operator", spill.Counters{})
	f.ctx = &operator.Context{
		Context: context.Background(), Parallelism: 1, Output: f.out, Memory: f.account, Alloc: f.mem,
		Contend: func() *ledger.Share { return nil }, Spill: f.space,
		BatchRows: f.c.BatchRows, Log: slog.New(slog.DiscardHandler),
	}
	if saved != nil {
		f.ctx.Restored = [][]byte{saved}
	}
	if f.c.Backend != nil {
		if f.backend, err = f.c.Backend(f.mem, f.account); err != nil {
			return err
		}
		if restore != nil {
			if err := restore(f.backend); err != nil {
				return err
			}
		}
		f.ctx.State = f.backend
		if f.way.chainAt > 0 {
			if err := f.pad(); err != nil {
				return err
			}
		}
	}
	if f.limited != nil {
		f.ctx.Memory, f.ctx.Contend = f.limited, f.limited.Contend
		f.ctx.Alloc = f.limited.Allocator()
	}
	if err := f.op.Open(f.ctx); err != nil {
		return err
	}
	return f.tick()
}

func (f *feed) close() (err error) {
	if f.op != nil {
		err = f.op.Close()
		f.op = nil
	}
	if f.backend != nil {
		err = errors.Join(err, f.backend.Close())
		f.backend = nil
	}
	if f.space != nil {
		f.spilled += f.space.Written()
		err = errors.Join(err, f.space.Close())
		f.space = nil
	}
	if f.dir != nil {
		err = errors.Join(err, f.dir.Close())
		f.dir = nil
	}
	return err
}

// before is called before each call of the operator.
func (f *feed) before() error {
	f.step++
	switch f.step {
	case f.way.stopAt:
		return errClosed
	case f.way.restoreAt:
		return f.restore()
	}
	if at := f.way.chainAt; at > 0 && f.step >= at && (f.step-at)%f.way.chainBy == 0 {
		return f.chained()
	}
	return nil
}

// restore makes the operator anew from all it has.
func (f *feed) restore() error {
	saved, err := f.saved()
	if err != nil {
		return err
	}
	var all kept
	defer all.release()
	if f.backend != nil {
		if err := errors.Join(all.add(f), all.write(f)); err != nil {
			return err
		}
	}
	if err := f.close(); err != nil {
		return err
	}
	return f.open(saved, all.restore)
}

// tick tells the operator what time it is, if it wants to know.
func (f *feed) tick() error {
	if t, ok := f.op.(operator.Ticker); ok && f.now > 0 {
		if err := t.Tick(time.UnixMilli(f.now)); err != nil {
			return err
		}
	}
	return f.evict()
}

// all feeds every input to its end; of the last one's end the operator is told
// after the final watermark.
func (f *feed) all() error {
	f.ended = make([]bool, len(f.c.Inputs))
	cursors := make([]int, len(f.c.Inputs))
	for {
		input := f.next()
		table := f.c.Inputs[input]
		if cursors[input] == len(table.Steps) {
			f.ended[input] = true
			if !slices.Contains(f.ended, false) {
				return f.finish(input)
			}
			if err := f.end(input); err != nil {
				return err
			}
			if err := f.watermark(input, stream.MaxWatermark); err != nil {
				return err
			}
			continue
		}
		n, err := f.feedSome(input, table, cursors[input])
		if err != nil {
			return err
		}
		cursors[input] += n
		if d, ok := f.op.(operator.Finisher); ok && d.Done() {
			for i := range cursors {
				cursors[i] = len(f.c.Inputs[i].Steps)
			}
		}
	}
}

// next is the input to read, of those that have not ended.
func (f *feed) next() int {
	if s, ok := f.op.(operator.InputSelector); ok {
		if w := s.Wants(); w >= 0 && !f.ended[w] {
			return w
		}
	}
	var open []int
	for i, ended := range f.ended {
		if !ended {
			open = append(open, i)
		}
	}
	return open[f.rand.IntN(len(open))]
}

func (f *feed) end(input int) error {
	if err := f.before(); err != nil {
		return err
	}
	return f.op.EndInput(input)
}

// finish gives the final watermark and the end of the last input.
func (f *feed) finish(input int) error {
	if !f.c.Undrained {
		if err := f.before(); err != nil {
			return err
		}
		if err := f.op.Watermark(stream.MaxWatermark); err != nil {
			return err
		}
	}
	return f.end(input)
}

// feedSome gives the operator a watermark or a batch, and returns how many steps
// of the table that was.
func (f *feed) feedSome(input int, table Table, from int) (int, error) {
	if err := f.before(); err != nil {
		return 0, err
	}
	switch s := table.Steps[from]; {
	case s.isWatermark():
		return 1, f.watermark(input, s.Watermark)
	case s.Row == nil:
		f.now = s.Tick
		return 1, f.tick()
	}
	to := from
	for to < len(table.Steps) && to-from < f.way.batch && table.Steps[to].Row != nil {
		to++
	}
	if err := f.op.Process(input, f.batch(table, from, to)); err != nil {
		return to - from, err
	}
	return to - from, f.evict()
}

// watermark tells the operator if the least of the inputs' watermarks advances.
func (f *feed) watermark(input int, w stream.Watermark) error {
	if f.times == nil {
		for _, t := range f.c.Inputs {
			at := stream.MaxWatermark
			if slices.ContainsFunc(t.Steps, Step.isWatermark) {
				at = stream.MinWatermark
			}
			f.times = append(f.times, at)
		}
	}
	before := slices.Min(f.times)
	f.times[input] = w
	if least := slices.Min(f.times); least <= before || least == stream.MaxWatermark { // the last comes at the end
		return nil
	}
	if err := f.op.Watermark(slices.Min(f.times)); err != nil {
		return err
	}
	return f.evict()
}
