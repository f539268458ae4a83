package jobmaster

import (
	"testing"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// The last report of an attempt says what it has done; a heartbeat that was made
// before and comes after it changes nothing.
func TestLateHeartbeat(t *testing.T) {
	m, err := New(Options{Slots: 2, Resources: resource.New(resource.Options{Fixed: true}), Graph: &jobgraph.Graph{
		Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 16, Vertices: []*jobgraph.Vertex{{Chain: []*jobgraph.Operator{{}, {}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(2) {
		a := &rpc.Attempt{Subtask: i}
		m.Progress(&rpc.TaskProgress{Attempt: a, RowsOut: 3})
		m.total(&rpc.TaskReport{Attempt: a, RowsOut: 5, Operators: []*rpc.OperatorCounts{{Rows: 7}, {Rows: 5}}})
		m.Progress(&rpc.TaskProgress{Attempt: a, RowsOut: 4})
	}
	if n := m.Status().Vertices[0].RowsOut; n != 10 {
		t.Errorf("%d rows", n)
	}
	for i, want := range []uint64{7, 5} {
		of := m.Operators(0)[i]
		if len(of) != 2 || of[0].GetRows() != want || of[1].GetRows() != want {
			t.Errorf("operator %d: %v", i, of)
		}
	}
}
