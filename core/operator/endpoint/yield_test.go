package endpoint

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	arrow "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
)

// A source whose reader is refused memory: it yields, waits until there is as much as
// it wants, and no row is lost or comes twice; where that can never be it fails.

// greedy is a reader that holds bytes of an account while it reads, and can give them
// back.
type greedy struct {
	reader
	account *memory.Account
	wants   int64
	held    int64
	stays   bool // it cannot yield
	yields  int
}

func (g *greedy) Poll(ctx context.Context) (*stream.Batch, connector.Wait, error) {
	for len(g.have) > 0 && g.held < g.wants {
		if err := g.account.Grow(100); err != nil {
			return nil, connector.NoWait, err
		}
		g.held += 100
	}
	return g.reader.Poll(ctx)
}

func (g *greedy) Yields() bool { return !g.stays }

func (g *greedy) Yield() {
	g.yields++
	g.account.Shrink(g.held)
	g.held = 0
}

func (g *greedy) Close() error {
	g.account.Shrink(g.held)
	return g.reader.Close()
}

type greedyConnector struct {
	*fake
	reader *greedy
}

func (c greedyConnector) Reader(context.Context, connector.SourceSpec, connector.ReaderEnv) (connector.Reader, error) {
	c.reader.reader = reader{c.fake}
	return c.reader, nil
}

// readGreedily reads a split of three rows beside one who holds a part of the ledger
// and gives it back when it is pressed, but not at once.
func readGreedily(t *testing.T, g *greedy, beside int64) (rows string, err error) {
	mem := arrow.NewCheckedAllocator(arrow.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	l, err := memory.New(memory.Options{Limit: 8000})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if l.Used() != 0 {
			t.Errorf("%d bytes are still charged", l.Used())
		}
	}()
	other := l.Child("other", 0)
	pressed := make(chan struct{}, 1)
	loan := other.Borrow(pressed)
	defer loan.End()
	if err := other.Grow(beside); err != nil {
		t.Fatal(err)
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-pressed:
			time.Sleep(time.Second)
		case <-end:
		}
		other.Shrink(beside)
	}()
	out := &collected{}
	q := &queue{splits: []connector.Split{{ID: "x", Data: []byte("abc")}}}
	s, err := NewSource(connector.SourceSpec{}, SourceDeps{Connector: greedyConnector{&fake{mem: mem}, g}, Splits: q})
	if err != nil {
		t.Fatal(err)
	}
	g.account = l.Child("scan", 0)
	ctx := contextOf(mem, out)
	ctx.Borrow = func() *memory.Loan { return g.account.Borrow(make(chan struct{}, 1)) }
	if err := s.Open(ctx); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(drive(s, math.MaxInt), s.Close(), s.Close())
	close(end)
	<-done
	return strings.Join(out.rows, " "), err
}

func TestSourceYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &greedy{wants: 6000}
		if rows, err := readGreedily(t, g, 3000); rows != "xa xb xc" || err != nil || g.yields == 0 {
			t.Errorf("%q, %v, after %d yields", rows, err, g.yields)
		}
		var refused *memory.ExhaustedError
		if rows, err := readGreedily(t, &greedy{wants: 7500}, 3000); rows != "" || !errors.As(err, &refused) {
			t.Errorf("%q, %v", rows, err)
		}
		g = &greedy{wants: 6000, stays: true}
		if rows, err := readGreedily(t, g, 3000); rows != "xa xb xc" || err != nil || g.yields > 0 {
			t.Errorf("%q, %v, after %d yields", rows, err, g.yields)
		}
	})
}

// Asked to while its task waits for credit, a source yields only if somebody waits.
func TestSourceYieldsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := memory.New(memory.Options{Limit: 8000})
		if err != nil {
			t.Fatal(err)
		}
		g := &greedy{wants: 6000, account: l.Child("scan", 0)}
		g.fake = &fake{mem: arrow.NewGoAllocator()}
		q := &queue{splits: []connector.Split{{ID: "x", Data: []byte("abc")}}}
		s, err := NewSource(connector.SourceSpec{}, SourceDeps{Connector: greedyConnector{g.fake, g}, Splits: q})
		if err != nil {
			t.Fatal(err)
		}
		ctx := contextOf(g.mem, &collected{})
		ctx.Borrow = func() *memory.Loan { return g.account.Borrow(make(chan struct{}, 1)) }
		if err := s.Open(ctx); err != nil {
			t.Fatal(err)
		}
		if err := drive(s, 3); err != nil || g.held == 0 {
			t.Fatal(err)
		}
		y := s.(*Source)
		if y.Yield(); g.yields > 0 {
			t.Error("it yields though nobody waits")
		}
		exchange := l.Child("exchange", 0)
		got := make(chan error)
		go func() { got <- exchange.Grow(3000) }()
		synctest.Wait()
		y.Yield()
		if err := <-got; err != nil || g.yields != 1 {
			t.Errorf("%v after %d yields", err, g.yields)
		}
		exchange.Shrink(3000)
		if err := s.Close(); err != nil || l.Used() != 0 {
			t.Errorf("%v, used %d", err, l.Used())
		}
	})
}
