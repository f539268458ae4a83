package coordinator

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/connector"
)

// byTurns hands split i to subtask i alone, as generators do.
type byTurns struct {
	fake
	classes []string
}

func (b *byTurns) Enumerator(context.Context, connector.SourceSpec, []byte) (connector.Enumerator, error) {
	return b, nil
}

func (b *byTurns) Next(_ context.Context, subtask int) (connector.Split, bool, error) {
	s := b.classes[subtask]
	b.classes[subtask] = ""
	return connector.Split{ID: s}, s != "", nil
}

// A bounded job that was expected to have three subtasks has two, and a third beyond
// them, for a worker has come: the third one's split is read by one of them. A stream's subtasks get their own alone. The bug that this
// keeps away is a count that lacks the rows of subtasks that never were.
func TestSplitsOfSubtasksThatNeverWere(t *testing.T) {
	for _, bounded := range []bool{true, false} {
		b := &byTurns{classes: strings.Fields("a b c")}
		h := New(func(string) (connector.Connector, error) { return b, nil }, nil)
		q := request(nil)
		q.Vertices[0].Parallelism, q.Vertices[0].Bounded = 3, bounded
		q.Vertices[0].Vertex.Chain = q.Vertices[0].GetVertex().GetChain()[:1]
		if err := h.Start(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		var got []string
		for range 2 {
			for _, subtask := range []uint32{0, 1, 7} {
				if subtask > 2 && !bounded {
					continue
				}
				if s := next(t, h, subtask, 0); s != "" {
					got = append(got, s)
				}
			}
		}
		want := strings.Fields("a b c")
		if !bounded {
			want = want[:2]
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("bounded %v: %v, want %v", bounded, got, want)
		}
		if err := h.Stop(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
}
