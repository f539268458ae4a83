package jobmaster

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
)

// bounded is a job master of a stream of four vertices that runs nothing: a source, what it
// forwards to, what has one subtask, and what has at most five.
func bounded(t *testing.T, settings map[string]string) *Master {
	t.Helper()
	exchange := func(n uint32, from, to uint32, d jobgraph.Distribution) *jobgraph.Exchange {
		return &jobgraph.Exchange{Id: n, Producer: from, Consumer: to, Distribution: d}
	}
	g := &jobgraph.Graph{
		Mode: jobgraph.Mode_MODE_STREAMING, KeyGroups: 128,
		Vertices: []*jobgraph.Vertex{
			{Id: 0, Outputs: []uint32{0}},
			{Id: 1, Inputs: []uint32{0}, Outputs: []uint32{1}},
			{Id: 2, Inputs: []uint32{1}, Outputs: []uint32{2}},
			{Id: 3, Inputs: []uint32{2}, MaxParallelism: 5},
		},
		Exchanges: []*jobgraph.Exchange{
			exchange(0, 0, 1, jobgraph.Distribution_DISTRIBUTION_FORWARD),
			exchange(1, 1, 2, jobgraph.Distribution_DISTRIBUTION_SINGLETON),
			exchange(2, 2, 3, jobgraph.Distribution_DISTRIBUTION_HASH),
		},
	}
	c, err := config.FromMap(settings, "test")
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLayout(g, config.Parallelism.Get(c), 4, false)
	if err != nil {
		t.Fatal(err)
	}
	return &Master{layout: l, config: c, checkpointed: config.CheckpointInterval.Get(c) > 0}
}

func mosts(all []*rpc.VertexBounds) (out []uint32) {
	for _, b := range all {
		out = append(out, b.GetMost())
	}
	return out
}

// Who asks comes before the options, and the plan before both.
func TestBounds(t *testing.T) {
	vertex := func(v, least, most uint32) *rpc.VertexBounds {
		return &rpc.VertexBounds{Vertex: v, Least: least, Most: most}
	}
	var none Requirements
	for _, c := range []struct {
		settings map[string]string
		required Requirements
		want     []uint32
	}{
		{nil, none, []uint32{4, 4, 1, 4}},
		{map[string]string{"parallelism.default": "2"}, none, []uint32{2, 2, 1, 2}},
		{map[string]string{"parallelism.default": "2", "scheduler-mode": "reactive"}, none, []uint32{128, 128, 1, 5}},
		{map[string]string{"parallelism.default": "2"}, none.With(&rpc.RescaleRequest{Parallelism: 8}), []uint32{8, 8, 1, 5}},
		{nil, none.With(&rpc.RescaleRequest{Vertices: []*rpc.VertexBounds{vertex(0, 2, 3)}}), []uint32{3, 3, 1, 4}},
		{nil, none.With(&rpc.RescaleRequest{Vertices: []*rpc.VertexBounds{vertex(0, 2, 3)}}).With(&rpc.RescaleRequest{Parallelism: 2}), []uint32{2, 2, 1, 2}},
		{nil, none.With(&rpc.RescaleRequest{Parallelism: 2}).With(&rpc.RescaleRequest{Vertices: []*rpc.VertexBounds{vertex(3, 1, 3)}}), []uint32{2, 2, 1, 3}},
	} {
		if got := mosts(bounded(t, c.settings).Bounds(c.required)); !slices.Equal(got, c.want) {
			t.Errorf("%v, %v: %v, want %v", c.settings, c.required, got, c.want)
		}
	}
}

// What cannot be met is refused with what to do.
func TestCheckOfRequests(t *testing.T) {
	interval := map[string]string{"execution.checkpointing.interval": "1 s", "state.checkpoints.dir": "x"}
	batch := bounded(t, interval)
	batch.layout.graph.Mode = jobgraph.Mode_MODE_BATCH
	read := bounded(t, interval)
	read.layout.graph.Exchanges[2].Result = true
	for _, c := range []struct {
		m    *Master
		r    *rpc.RescaleRequest
		want string
	}{
		{bounded(t, interval), &rpc.RescaleRequest{Parallelism: 128}, ""},
		{bounded(t, interval), &rpc.RescaleRequest{Parallelism: 129}, "at most 128"},
		{bounded(t, interval), &rpc.RescaleRequest{Vertices: []*rpc.VertexBounds{{Vertex: 3, Least: 1, Most: 5}}}, ""},
		{bounded(t, interval), &rpc.RescaleRequest{Vertices: []*rpc.VertexBounds{{Vertex: 3, Least: 1, Most: 6}}}, "upper <= 5"},
		{bounded(t, interval), &rpc.RescaleRequest{Vertices: []*rpc.VertexBounds{{Vertex: 4, Least: 1, Most: 1}}}, "no vertex 4"},
		{bounded(t, interval), &rpc.RescaleRequest{Vertices: []*rpc.VertexBounds{{Vertex: 0, Most: 2}}}, "1 <= lower"},
		{bounded(t, nil), &rpc.RescaleRequest{Parallelism: 2}, "set execution.checkpointing.interval"},
		{batch, &rpc.RescaleRequest{Parallelism: 2}, "only streaming jobs"},
		{read, &rpc.RescaleRequest{Parallelism: 2}, "only INSERT"},
	} {
		switch err := c.m.Check(c.r); {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v: %v, want %q", c.r, err, c.want)
		}
	}
	if single := id.Vertex(2); len(batch.layout.scalables(Requirements{}, false)) != 4 || !batch.layout.single(batch.layout.graph.GetVertices()[single]) {
		t.Error("the vertex that reads a singleton has one subtask")
	}
}
