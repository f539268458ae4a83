package jobmaster

// Each case of testdata/layout is a job graph and what is known of it before anything
// runs.
//
//	layout [slots=N] [wanted=N] [fixed] [streaming]
//	vertex [p=N] [most=N] [values]          they are numbered as they come
//	edge FROM->TO DISTRIBUTION [stored]
//	result FROM DISTRIBUTION [stored]

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/jobgraph"
)

func TestLayout(t *testing.T) {
	datadriven.Walk(t, "testdata/layout", func(t *testing.T, file string) {
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			slots, wanted := 4, 0
			d.MaybeScanArgs(t, "slots", &slots)
			d.MaybeScanArgs(t, "wanted", &wanted)
			l, err := newLayout(graphOf(t, d), wanted, slots, d.HasArg("fixed"))
			if err != nil {
				return fmt.Sprintf("error: %v\n", err)
			}
			return show(l)
		})
	})
}

func graphOf(t *testing.T, d *datadriven.TestData) *jobgraph.Graph {
	g := &jobgraph.Graph{Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 128}
	if d.HasArg("streaming") {
		g.Mode = jobgraph.Mode_MODE_STREAMING
	}
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		if f[0] == "vertex" {
			g.Vertices = append(g.Vertices, vertexOf(t, uint32(len(g.Vertices)), f[1:]))
			continue
		}
		x := &jobgraph.Exchange{Id: uint32(len(g.Exchanges)), Result: f[0] == "result", Retention: jobgraph.Retention_RETENTION_NONE}
		if _, err := fmt.Sscanf(f[1]+"->0", "%d->%d", &x.Producer, &x.Consumer); err != nil {
			t.Fatal(line, err)
		}
		x.Distribution = jobgraph.Distribution(jobgraph.Distribution_value["DISTRIBUTION_"+strings.ToUpper(f[2])])
		if len(f) > 3 {
			x.Retention = jobgraph.Retention_RETENTION_JOB
		}
		g.Vertices[x.Producer].Outputs = append(g.Vertices[x.Producer].Outputs, x.Id)
		if !x.Result {
			g.Vertices[x.Consumer].Inputs = append(g.Vertices[x.Consumer].Inputs, x.Id)
		}
		g.Exchanges = append(g.Exchanges, x)
	}
	return g
}

func vertexOf(t *testing.T, n uint32, fields []string) *jobgraph.Vertex {
	op := &jobgraph.Operator{Spec: &jobgraph.Operator_Calc{Calc: &jobgraph.Calc{}}}
	v := &jobgraph.Vertex{Id: n, Name: fmt.Sprintf("v%d", n), Chain: []*jobgraph.Operator{op}}
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		var number uint32
		if _, err := fmt.Sscan(value, &number); value != "" && err != nil {
			t.Fatal(f, err)
		}
		switch key {
		case "p":
			v.Parallelism = number
		case "most":
			v.MaxParallelism = number
		case "values":
			op.Spec = &jobgraph.Operator_Values{Values: &jobgraph.Values{}}
		}
	}
	return v
}

// show prints each vertex with its class, named by its first vertex, and each exchange
// whose partitions are not one for each reader.
func show(l *layout) string {
	var b strings.Builder
	for i, p := range l.parallelism {
		c := l.classes[i]
		fmt.Fprintf(&b, "vertex %d: parallelism %d, class %d, told %d\n", i, p, c.vertices[0], l.told(i))
	}
	for _, x := range l.graph.GetExchanges() {
		if n := l.partitions(x); n > 0 {
			fmt.Fprintf(&b, "exchange %d: %d partitions, read by ranges %v\n", x.GetId(), n, l.ranged(x))
		}
	}
	if l.wanted > 0 {
		fmt.Fprintf(&b, "wanted %d\n", l.wanted)
	}
	return b.String()
}
