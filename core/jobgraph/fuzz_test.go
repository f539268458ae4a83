package jobgraph

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

// Graphs come from whoever may submit one. Validate says of each, in whatever way it is
// wrong, what is wrong, and what it has let pass can be asked for its consequences.
func FuzzValidate(f *testing.F) {
	whole, err := proto.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, at := range []int{1, len(whole) / 3, len(whole) / 2, len(whole) - 1} {
		f.Add(whole[:at])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g := &Graph{}
		if proto.Unmarshal(data, g) != nil {
			return
		}
		if err := Validate(g); err != nil {
			if len(err.Error()) > 64<<10 {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		tasks := uint64(0)
		for _, v := range g.GetVertices() {
			tasks += uint64(max(v.GetParallelism(), 1))
		}
		if len(g.GetVertices()) > MaxVertices || len(g.GetExchanges()) > MaxExchanges || tasks > MaxTasks {
			t.Errorf("%d vertices, %d exchanges, %d tasks", len(g.GetVertices()), len(g.GetExchanges()), tasks)
		}
	})
}
