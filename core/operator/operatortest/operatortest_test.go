package operatortest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// The harness itself: an operator that keeps every rule passes, and each broken
// rule is found.

// fault is the rule that an operator breaks.
type fault string

// passing emits what it gets, row counts limited, and counts rows in its state;
// it breaks one rule.
type passing struct {
	fault fault
	ctx   *operator.Context
	kept  *stream.Batch
	seen  int
	state state.Rows // how many rows there were, by the one key that there is
	slots []int32
	stop  chan struct{}
}

// count adds the rows of a batch to the keyed state.
func (p *passing) count(rows int) error {
	key := array.NewInt64Builder(p.ctx.Alloc)
	defer key.Release()
	key.Append(0)
	column := key.NewArray()
	defer column.Release()
	keys := []arrow.Array{column}
	hashes := compute.HashColumns(keys, nil, nil)
	if err := p.state.Find(keys, nil, hashes, p.slots); err != nil {
		return err
	}
	switch {
	case p.slots[0] < 0:
		if err := p.state.Resolve(keys, nil, hashes, p.slots); err != nil {
			return err
		}
	case p.fault != "hides what it writes":
		p.state.Touch(p.slots)
	}
	n := p.state.Values()[0]
	n.Int64[p.slots[0]] += int64(rows)
	n.Valid[p.slots[0]] = true
	return nil
}

func (p *passing) Open(ctx *operator.Context) error {
	p.ctx = ctx
	for _, s := range ctx.Restored {
		p.seen += len(s)
	}
	table, err := ctx.State.Table(state.TableSpec{ID: 1, Name: "rows", Keys: ParseSchema("k BIGINT"), Values: ParseSchema("n BIGINT")})
	if err != nil {
		return err
	}
	if p.state, err = table.Namespace(0); err != nil {
		return err
	}
	p.slots = make([]int32, 1)
	if p.fault == "starts a goroutine" {
		p.stop = make(chan struct{})
		go func() { <-p.stop }()
	}
	if p.fault == "keeps a charge" || p.fault == "" {
		if err := ctx.Memory.Grow(100); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		p.seen += 1000
	}
	return nil
}

// checkCount compares the keyed state with what the operator knows.
func (p *passing) checkCount() error {
	if kept := p.state.Values()[0].Int64; p.state.Len() > 0 && int(kept[0]) != p.seen%1000 {
		return fmt.Errorf("%d rows in keyed state, %d seen", kept[0], p.seen%1000)
	}
	return nil
}

func (p *passing) Process(_ int, b *stream.Batch) error {
	if err := p.count(b.Len()); err != nil {
		b.Release()
		return err
	}
	p.seen += b.Len()
	switch {
	case p.fault == "drops the selection":
		b.Sel = nil
	case p.fault == "keeps a batch" && p.kept == nil:
		p.kept = b.Share()
	case p.fault == "forgets the tenth row" && p.seen%1000 == 10:
		b.Release()
		return nil
	case p.fault == "hides an error":
		_ = p.ctx.Output.Emit(b)
		return nil
	}
	return p.ctx.Output.Emit(b)
}

func (p *passing) Watermark(stream.Watermark) error { return nil }

// EndInput emits how many rows there were, as a row.
func (p *passing) EndInput(int) error {
	if err := p.checkCount(); err != nil {
		return err
	}
	n := p.seen % 1000
	return p.ctx.Output.Emit(stream.NewBatch(Record(p.ctx.Alloc, pair, [][]any{{"rows", int64(n)}})))
}

func (p *passing) Snapshot(stream.Barrier) ([]byte, error) {
	if p.fault == "forgets its state" {
		return nil, nil
	}
	return make([]byte, p.seen%1000), nil
}

func (p *passing) Completed(id.Checkpoint) error { return nil }

func (p *passing) Close() error {
	if p.fault == "" && p.seen >= 1000 {
		p.ctx.Memory.Shrink(100)
	}
	return nil
}

var pair = ParseSchema("s STRING, n INT")

const rows = `
s STRING, n INT
a | 1
b | 2
c | NULL
NULL | 4
e | 5
f | 6
g | 7
h | 8
i | 9
j | 10`

// recorder is a T that notes the first failure.
type recorder struct{ text string }

type failed struct{}

func (r *recorder) Helper()           {}
func (r *recorder) Failed() bool      { return r.text != "" }
func (r *recorder) Error(args ...any) { r.text += fmt.Sprintln(args...) }
func (r *recorder) Errorf(format string, args ...any) {
	r.text += fmt.Sprintf(format, args...) + "\n"
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(failed{})
}

func verdict(f fault) (text string) {
	r := &recorder{}
	var made []*passing
	defer func() {
		for _, p := range made {
			if p.kept != nil {
				p.kept.Release()
			}
			if p.stop != nil {
				close(p.stop)
			}
		}
		switch x := recover().(type) {
		case nil, failed:
		case invariant.Violation: // the state finds out before the harness does
			r.Error(x)
		default:
			panic(x)
		}
		text = r.text
	}()
	in := Parse(rows)
	Run(r, Case{
		Inputs: []Table{in}, Output: pair, BatchRows: 1 << 16, Stateful: true,
		Twin: func(in [][][]any) [][]any {
			return append(append([][]any{}, in[0]...), []any{"rows", int64(len(in[0]))})
		},
		New: func() (operator.Operator, error) {
			p := &passing{fault: f}
			made = append(made, p)
			return p, nil
		},
		Backend: func(mem memory.Allocator, account stream.Account) (state.Backend, error) {
			return memstate.New(Groups, keygroup.Range{Last: Groups}, mem, account), nil
		},
	})
	return ""
}

func TestHarness(t *testing.T) {
	if text := verdict(""); text != "" {
		t.Errorf("a correct operator fails: %s", text)
	}
	for _, f := range []fault{
		"drops the selection", "keeps a batch", "forgets the tenth row", "hides an error",
		"forgets its state", "hides what it writes", "keeps a charge", "starts a goroutine",
	} {
		if text := verdict(f); text == "" {
			t.Errorf("an operator that %s passes", f)
		}
	}
}

func TestTables(t *testing.T) {
	const text = `s STRING, b BYTES, d DECIMAL(10, 2), w DECIMAL(38, 1), t TIMESTAMP(6), day DATE, at TIME(3), ok BOOLEAN, f DOUBLE
a b | 00ff | -1.50 | 12345678901234567890.5 | 2024-02-29 23:59:59.000001 | 1969-12-31 | 13:45:00.5 | true | 0.5
' NULL ' | NULL | 0.01 | NULL | 1969-12-31 23:59:59.5 | 2024-01-01 | 00:00:00 | false | -1e+20
watermark 77
NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL`
	table := Parse(text)
	lines := strings.Split(text, "\n")[1:]
	for i, s := range table.Steps {
		if s.Row == nil {
			if s.Watermark != 77 {
				t.Errorf("watermark %v", s.Watermark)
			}
			continue
		}
		if got := FormatRow(table.Schema, s.Row); got != lines[i] {
			t.Errorf("line %d comes back as %s", i, got)
		}
	}
	record := Record(memory.DefaultAllocator, table.Schema, table.Rows())
	for i, row := range ReadRows(stream.NewBatch(record)) {
		if got, want := FormatRow(table.Schema, row), FormatRow(table.Schema, table.Rows()[i]); got != want {
			t.Errorf("row %d comes back from Arrow as %s, want %s", i, got, want)
		}
	}
}
