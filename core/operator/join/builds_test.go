package join_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// Subtasks that are given the same build side build it once, whichever ends it first;
// where that fails the next one tries, and who cannot have it in memory spills for
// itself. What is built is charged once and goes with the last that uses it.

// crew is subtasks of one join, given the same build side.
type crew struct {
	t      *testing.T
	spec   *jobgraph.Join
	builds *join.Builds
	ledger *memory.Ledger
	mem    *arrowmemory.CheckedAllocator
	dir    *spill.Directory
	all    []*member
	build  []*stream.Batch
}

// member is one subtask.
type member struct {
	crew    *crew
	op      operator.Operator
	ctx     *operator.Context
	out     *lines
	account *memory.Account
	space   *spill.Space
}

func newCrew(t *testing.T, spec *jobgraph.Join) *crew {
	t.Helper()
	ledger, err := memory.New(memory.Options{Limit: 1 << 30, PoolBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := spill.Open(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{t: t, spec: spec, builds: join.NewBuilds(), ledger: ledger, mem: arrowmemory.NewCheckedAllocator(arrowmemory.NewGoAllocator()), dir: dir}
	schema := operatortest.ParseSchema(crewRight).Arrow()
	for from := 0; from < 200; from += 50 {
		c.build = append(c.build, skewedBatch(c.mem, schema, 50, func(i int) (string, int32) {
			i += from
			if i%20 == 0 {
				return "", int32(i)
			}
			return fmt.Sprintf("a key that is long enough %d", i/3), int32(i)
		}))
	}
	return c
}

const crewLeft, crewRight = "k STRING, n INT, v INT", "k STRING, n INT, w INT"

// join opens another subtask; change, if any, alters what it is given.
func (c *crew) join(change func(*operator.Context)) *member {
	c.t.Helper()
	m := &member{crew: c, account: c.ledger.Child(fmt.Sprint("subtask ", len(c.all)), 0)}
	left, right := operatortest.ParseSchema(crewLeft), operatortest.ParseSchema(crewRight)
	op, err := join.New(c.spec, left, right, join.Deps{Functions: deps.Functions, Builds: c.builds})
	if err != nil {
		c.t.Fatal(err)
	}
	m.op, m.out, m.space = op, &lines{schema: outputOf(c.spec.Type, left, right)}, c.dir.Space("join", spill.Counters{})
	m.ctx = &operator.Context{
		Context: context.Background(), Attempt: id.Attempt{Subtask: id.Subtask{Vertex: 4, Index: uint32(len(c.all))}}, Parallelism: 3,
		Output: m.out, Memory: m.account, Alloc: m.account.Allocator(), Contend: func() *memory.Share { return nil },
		Spill: m.space, BatchRows: 256, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(m.ctx)
	}
	c.all = append(c.all, m)
	if err := op.Open(m.ctx); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// read gives the subtask the build side, without its end.
func (m *member) read() (err error) {
	for _, b := range m.crew.build {
		err = errors.Join(err, m.op.Process(1, b.Share()))
	}
	return err
}

func (m *member) end() error { return m.op.EndInput(1) }

// probe gives the subtask its part of the probe side, to the end.
func (m *member) probe() error {
	at := int(m.ctx.Attempt.Subtask.Index)
	schema := operatortest.ParseSchema(crewLeft).Arrow()
	b := skewedBatch(m.crew.mem, schema, 40, func(i int) (string, int32) {
		if i%7 == 0 {
			return "", int32(i)
		}
		return fmt.Sprintf("a key that is long enough %d", 2*i+at), int32(5 * i)
	})
	return errors.Join(m.op.Process(0, b), m.op.EndInput(0))
}

func (m *member) close() error { return errors.Join(m.op.Close(), m.space.Close()) }

// finish closes who is open and expects that nothing is left.
func (c *crew) finish() {
	c.t.Helper()
	for _, m := range c.all {
		if err := m.close(); err != nil {
			c.t.Error(err)
		}
	}
	for _, b := range c.build {
		b.Release()
	}
	if err := c.dir.Close(); err != nil {
		c.t.Error(err)
	}
	if used := c.ledger.Used(); used != 0 {
		c.t.Errorf("%d bytes stay charged", used)
	}
	c.mem.AssertSize(c.t, 0)
}

// alone is what a subtask gives that builds for itself, and what it has charged then.
func alone(t *testing.T, spec *jobgraph.Join, index uint32) (rows []string, charged int64) {
	t.Helper()
	c := newCrew(t, spec)
	defer c.finish()
	m := c.join(func(ctx *operator.Context) { ctx.Attempt.Subtask.Index = index })
	if err := errors.Join(m.read(), m.end()); err != nil {
		t.Fatal(err)
	}
	charged = c.ledger.Used()
	if err := m.probe(); err != nil {
		t.Fatal(err)
	}
	return m.out.rows, charged
}

func inner(keys ...uint32) *jobgraph.Join {
	return &jobgraph.Join{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: keys, RightKeys: keys}
}

// check compares what the subtask gave with what it gives alone.
func (m *member) check() {
	m.crew.t.Helper()
	want, _ := alone(m.crew.t, m.crew.spec, m.ctx.Attempt.Subtask.Index)
	slices.Sort(want)
	slices.Sort(m.out.rows)
	if !slices.Equal(m.out.rows, want) {
		m.crew.t.Errorf("subtask %v: %d rows, want %d", m.ctx.Attempt, len(m.out.rows), len(want))
	}
}

// Every kind that may be broadcast, at once and in any order.
func TestSharedBuild(t *testing.T) {
	for _, kind := range []jobgraph.JoinType{
		jobgraph.JoinType_JOIN_INNER, jobgraph.JoinType_JOIN_LEFT, jobgraph.JoinType_JOIN_SEMI, jobgraph.JoinType_JOIN_ANTI,
	} {
		for _, keys := range [][]uint32{{0}, {2}, {0, 1}, nil} {
			for _, residual := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%v/%v", kind, keys, residual), func(t *testing.T) {
					spec := &jobgraph.Join{Type: kind, LeftKeys: keys, RightKeys: keys}
					if residual {
						spec.Residual = expr.ToProto(smaller())
					}
					sharedBuild(t, spec)
				})
			}
		}
	}
}

func sharedBuild(t *testing.T, spec *jobgraph.Join) {
	c := newCrew(t, spec)
	defer c.finish()
	_, once := alone(t, spec, 0)
	for range 3 {
		c.join(nil)
	}
	each := func(f func(*member) error) {
		t.Helper()
		var all sync.WaitGroup
		for _, m := range c.all {
			all.Go(func() {
				if err := f(m); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	each(func(m *member) error { return errors.Join(m.read(), m.end()) })
	if used := c.ledger.Used(); used != once {
		t.Errorf("three subtasks have charged %d bytes, one alone %d", used, once)
	}
	each((*member).probe)
	for _, m := range c.all {
		m.check()
	}
}

// What is built outlives who has built it, and is there for one who comes late and
// has not read it; after the last has gone another one begins anew.
func TestSharedBuildOutlivesItsBuilder(t *testing.T) {
	c := newCrew(t, inner(0))
	defer c.finish()
	first, second := c.join(nil), c.join(nil)
	if err := errors.Join(first.read(), first.end(), first.probe(), first.close()); err != nil {
		t.Fatal(err)
	}
	late := c.join(nil)
	if err := errors.Join(second.end(), second.probe(), second.close(), late.end(), late.probe()); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.all {
		m.check()
	}
	if used := c.ledger.Used(); used == 0 {
		t.Error("nothing is charged while one is still there")
	}
	if err := late.close(); err != nil {
		t.Fatal(err)
	}
	if used := c.ledger.Used(); used != 0 {
		t.Errorf("%d bytes are charged after the last has gone", used)
	}
	anew := c.join(nil)
	if err := errors.Join(anew.read(), anew.end(), anew.probe()); err != nil {
		t.Fatal(err)
	}
	anew.check()
}

// Another attempt of the vertex, and another vertex, share nothing with these; nor do
// kinds that note which build rows had a pair.
func TestNotShared(t *testing.T) {
	for name, change := range map[string]func(*operator.Context){
		"attempt": func(c *operator.Context) { c.Attempt.N = 1 },
		"vertex":  func(c *operator.Context) { c.Attempt.Subtask.Vertex = 5 },
		"right":   nil,
	} {
		spec := inner(0)
		if name == "right" {
			spec.Type = jobgraph.JoinType_JOIN_RIGHT
		}
		c := newCrew(t, spec)
		first, second := c.join(nil), c.join(change)
		if err := errors.Join(first.read(), first.end(), second.end(), second.probe()); err != nil {
			t.Fatal(err)
		}
		if n := len(second.out.rows); n != 0 {
			t.Errorf("%s: %d rows of a build side that was not read", name, n)
		}
		c.finish()
	}
}

// One whose memory is short spills and joins by itself, or, where another one has
// built by then, throws its files away; the others share.
func TestSharedBuildWithOneThatSpills(t *testing.T) {
	for _, before := range []bool{true, false} {
		c := newCrew(t, inner(0))
		tight := c.join(func(ctx *operator.Context) {
			a := c.ledger.Child("tight", 16_000)
			ctx.Memory, ctx.Alloc = a, a.Allocator()
		})
		rich := c.join(nil)
		err := rich.read()
		if before {
			err = errors.Join(err, tight.read(), tight.op.(operator.Spiller).Spill(), rich.end(), tight.end())
		} else {
			err = errors.Join(err, tight.read(), tight.end(), rich.end())
		}
		if err != nil {
			t.Fatal(err)
		}
		if tight.space.Written() == 0 {
			t.Error("nothing was spilled")
		}
		if err := errors.Join(tight.probe(), rich.probe()); err != nil {
			t.Fatal(err)
		}
		for _, m := range c.all {
			m.check()
		}
		c.finish()
	}
}

// hooked is an account that asks first.
type hooked struct {
	stream.Account
	ask func() error
}

func (h hooked) Grow(n int64) error {
	if err := h.ask(); err != nil {
		return err
	}
	return h.Account.Grow(n)
}

// Where the builder fails the next one builds, and who is cancelled waits no longer.
func TestSharedBuildFails(t *testing.T) {
	c := newCrew(t, inner(0))
	defer c.finish()
	building, failing := make(chan struct{}), make(chan struct{})
	broken := errors.New("broken")
	builder := c.join(func(ctx *operator.Context) {
		asked := false
		ctx.Memory = hooked{ctx.Memory, func() error {
			if !asked {
				asked = true
				close(building)
				<-failing
			}
			return broken
		}}
	})
	waits, cancel := context.WithCancel(t.Context())
	cancelled, next := c.join(func(ctx *operator.Context) { ctx.Context = waits }), c.join(nil)
	if err := errors.Join(builder.read(), cancelled.read(), next.read()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := builder.end(); !errors.Is(err, broken) {
			t.Errorf("the builder: %v", err)
		}
	})
	<-building
	all.Go(func() {
		if err := errors.Join(next.end(), next.probe()); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
	cancel()
	if err := cancelled.end(); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "wait for the build side") {
		t.Errorf("the cancelled one: %v", err)
	}
	close(failing)
	all.Wait()
	next.check()
}
