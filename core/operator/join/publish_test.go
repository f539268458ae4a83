package join_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

// When the build side has ended its keys are known: at once where each subtask has
// all of them, else not before the other subtask has told its own.
func TestPublish(t *testing.T) {
	table := operatortest.Parse(numbers)
	set := keyfilter.NewSet(unlimited{})
	defer set.Close()
	spec := &jobgraph.Join{
		Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{1}, RightKeys: []uint32{1},
		Filters: []*jobgraph.KeyFilter{
			{Id: 3, Columns: []uint32{1}},
			{Id: 4, Columns: []uint32{1}, Whole: true},
			{Id: 5, Columns: []uint32{2}, Whole: true},
			{Id: 6, Columns: []uint32{1, 2}, Whole: true},
		},
	}
	op, err := join.New(spec, table.Schema, table.Schema, join.Deps{Functions: deps.Functions, Filters: set})
	if err != nil {
		t.Fatal(err)
	}
	defer op.Close()
	if err := op.Open(&operator.Context{
		Context: context.Background(), Parallelism: 2, Output: &dropped{}, Memory: unlimited{}, Alloc: memory.DefaultAllocator, BatchRows: 8,
	}); err != nil {
		t.Fatal(err)
	}
	if err := op.Process(1, stream.NewBatch(operatortest.Record(memory.DefaultAllocator, table.Schema, table.Rows()))); err != nil {
		t.Fatal(err)
	}
	if keys, settled := set.Get(4); keys != nil || settled {
		t.Error("keys of a build side that has not ended")
	}
	if err := op.EndInput(1); err != nil {
		t.Fatal(err)
	}
	keys, _ := set.Get(4)
	if keys == nil || !keys.Between(70, 70) || !keys.Between(-3, -3) || keys.Between(3, 69) {
		t.Errorf("keys %v", keys)
	}
	if other, _ := set.Get(5); other == nil || !other.Between(25, 25) || other.Between(26, 44) {
		t.Errorf("keys of the second column %v", other)
	}
	if keys, settled := set.Get(3); keys != nil || settled {
		t.Error("one of two subtasks has told its keys")
	}
	pairs, _ := set.Get(6)
	if pairs == nil || pairs.Exact() {
		t.Fatalf("keys of two columns %v", pairs)
	}
	others := operatortest.Record(memory.DefaultAllocator, table.Schema, [][]any{{"b", int64(2), int64(45)}, {"x", int64(-3), int64(1)}})
	defer others.Release()
	if got := keyfilter.NewProbe(pairs).Keep(others.Columns()[1:]); !slices.Equal(got, []int32{1}) {
		t.Errorf("of two pairs, one of which occurs, %v", got)
	}
}

// narrow lets nothing be charged once it is shut.
type narrow struct {
	unlimited
	shut bool
}

func (n *narrow) Grow(int64) error {
	if n.shut {
		return errors.New("no memory")
	}
	return nil
}

// Where there is no memory for making a filter there is none, and the join goes on.
func TestPublishWithoutMemory(t *testing.T) {
	table := operatortest.Parse(numbers)
	set := keyfilter.NewSet(unlimited{})
	defer set.Close()
	spec := &jobgraph.Join{
		Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0}, RightKeys: []uint32{0}, Filters: []*jobgraph.KeyFilter{{Id: 3, Columns: []uint32{0}, Whole: true}},
	}
	op, err := join.New(spec, table.Schema, table.Schema, join.Deps{Functions: deps.Functions, Filters: set})
	if err != nil {
		t.Fatal(err)
	}
	defer op.Close()
	m := &narrow{}
	if err := op.Open(&operator.Context{Context: context.Background(), Parallelism: 1, Output: &dropped{}, Memory: m, Alloc: memory.DefaultAllocator, BatchRows: 8}); err != nil {
		t.Fatal(err)
	}
	m.shut = true
	if err := op.EndInput(1); err != nil {
		t.Fatal(err)
	}
	if keys, settled := set.Get(3); keys != nil || !settled {
		t.Errorf("keys %v, settled: %v", keys, settled)
	}
}
