package local

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
)

// The first stream of another process may open an exchange before the task here does,
// and knows one server of it. What the task says counts, whoever comes first; otherwise
// the task would write to a server without a name.
func TestPlacementIsThatOfTheTask(t *testing.T) {
	full := shuffle.Placement{Version: 1, Servers: []shuffle.Server{{ID: "a"}, {ID: "b"}}, At: []uint32{0, 1}}
	stream := shuffle.Placement{Version: 1, Servers: []shuffle.Server{{ID: "a"}, {}}, At: []uint32{0, 1}}
	later := stream
	later.Version = 2
	for _, retention := range []shuffle.Retention{shuffle.RetainNone, shuffle.RetainJob} {
		for name, order := range map[string][]shuffle.Placement{
			"stream first": {stream, full}, "task first": {full, stream}, "stream between": {stream, full, stream, full},
		} {
			if got := opened(t, retention, order...); got.Servers[1].ID != "b" {
				t.Errorf("%v, %s: %+v", retention, name, got)
			}
		}
	}
	if got := opened(t, shuffle.RetainJob, full, later); got.Servers[1].ID != "b" {
		t.Errorf("a later stream: %+v", got)
	}
}

func opened(t *testing.T, retention shuffle.Retention, placements ...shuffle.Placement) shuffle.Placement {
	t.Helper()
	s := New(Options{Self: "a", Alloc: memory.DefaultAllocator})
	spec := shuffle.Spec{
		Job: id.NewJob(), Exchange: 3, Schema: datatype.Schema{{Name: "n", Type: datatype.Type{Kind: datatype.BigInt}}},
		Lanes: 2, Partitions: 2, Retention: retention, Term: 1,
	}
	for _, p := range placements {
		spec.Placement = p
		if err := s.Open(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := s.Spec(spec.Job, spec.Exchange)
	if err := s.Drop(t.Context(), spec.Job, spec.Exchange); err != nil {
		t.Fatal(err)
	}
	return got.Placement
}
