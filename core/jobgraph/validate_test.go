package jobgraph

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/expr/exprpb"
)

// good is a graph with one of everything: two scans joined by hash, aggregated
// in two phases, sorted, and read by the client; and a values vertex with a sink.
func good() *Graph {
	ints := func(names ...string) []*Field {
		var out []*Field
		for _, n := range names {
			out = append(out, &Field{Name: n, Type: "BIGINT"})
		}
		return out
	}
	column := func(i uint32) *exprpb.Expr {
		return &exprpb.Expr{Type: "BIGINT", Node: &exprpb.Expr_Column{Column: i}}
	}
	hash, none := Distribution_DISTRIBUTION_HASH, Retention_RETENTION_NONE
	scan := func(uid string) *Operator {
		return &Operator{Uid: uid, Name: "Scan", Output: ints("k", "v"), Spec: &Operator_Source{Source: &Source{Columns: ints("k", "v")}}}
	}
	calls := []*AggregateCall{{Function: "SUM", Args: []uint32{1}, ArgTypes: []string{"BIGINT"}, Filter: -1, Type: "BIGINT", Name: "s"}}
	aggregate := func(uid string, phase Phase) *Operator {
		return &Operator{Uid: uid, Name: "Aggregate", Output: ints("k", "s"), Spec: &Operator_Aggregate{Aggregate: &Aggregate{Phase: phase, Keys: []uint32{0}, Calls: calls}}}
	}
	join := &Join{Type: JoinType_JOIN_INNER, LeftKeys: []uint32{0}, RightKeys: []uint32{0}, Residual: column(3)}
	window := &WindowAggregate{Phase: Phase_PHASE_SINGLE, Window: &Window{Kind: WindowKind_WINDOW_TUMBLE, SizeMillis: 1}, TimeColumn: 1, Keys: []uint32{0}, Calls: calls}
	return &Graph{
		Version: Version, Name: "g", Mode: Mode_MODE_BATCH, KeyGroups: 8,
		Vertices: []*Vertex{
			{Id: 0, Uid: "a", Parallelism: 2, Outputs: []uint32{0}, Chain: []*Operator{scan("a-0")}},
			{Id: 1, Uid: "b", Parallelism: 2, Outputs: []uint32{1}, Chain: []*Operator{
				scan("b-0"),
				{Uid: "b-1", Name: "Watermark", Output: ints("k", "v"), Spec: &Operator_Watermark{Watermark: &WatermarkAssigner{Column: 1, Watermark: column(1)}}},
			}},
			{Id: 2, Uid: "c", Parallelism: 2, Inputs: []uint32{0, 1}, Outputs: []uint32{2}, Chain: []*Operator{
				{Uid: "c-0", Name: "Join", Output: ints("k", "v", "k", "v"), Spec: &Operator_Join{Join: join}},
				{Uid: "c-1", Name: "Calc", Output: ints("k", "v"), Spec: &Operator_Calc{Calc: &Calc{Filter: column(0), Projection: []*exprpb.Expr{column(2), column(1)}}}},
				{Uid: "c-2", Name: "Window", Output: ints("k", "s"), Spec: &Operator_WindowAggregate{WindowAggregate: window}},
				aggregate("c-3", Phase_PHASE_PARTIAL),
			}},
			{Id: 3, Uid: "d", Parallelism: 2, Inputs: []uint32{2}, Outputs: []uint32{3}, Chain: []*Operator{
				aggregate("d-0", Phase_PHASE_FINAL),
				{Uid: "d-1", Name: "Limit", Output: ints("k", "s"), Spec: &Operator_Limit{Limit: &Limit{Limit: -1}}},
				{Uid: "d-2", Name: "TopN", Output: ints("k", "s"), Spec: &Operator_TopN{TopN: &TopN{Keys: []*SortKey{{Column: 1}}, Limit: 3}}},
				{Uid: "d-3", Name: "Sort", Output: ints("k", "s"), Spec: &Operator_Sort{Sort: &Sort{Keys: []*SortKey{{Column: 1}}}}},
			}},
			{Id: 4, Uid: "e", Parallelism: 1, Outputs: []uint32{4}, Chain: []*Operator{
				{Uid: "e-0", Name: "Values", Output: ints("k"), Spec: &Operator_Values{Values: &Values{Rows: []*ValuesRow{{Values: []*exprpb.Literal{{}}}}}}},
			}},
			{Id: 5, Uid: "f", Parallelism: 1, Inputs: []uint32{4}, Chain: []*Operator{
				{Uid: "f-0", Name: "Union", Output: ints("k"), Spec: &Operator_Union{Union: &Union{}}},
				{Uid: "f-1", Name: "Insert", Output: ints("k"), Spec: &Operator_Sink{Sink: &Sink{Columns: ints("k")}}},
			}},
		},
		Exchanges: []*Exchange{
			{Id: 0, Producer: 0, Consumer: 2, Distribution: hash, Keys: []uint32{0}, Retention: none, Schema: ints("k", "v")},
			{Id: 1, Producer: 1, Consumer: 2, Distribution: hash, Keys: []uint32{0}, Retention: none, Schema: ints("k", "v")},
			{Id: 2, Producer: 2, Consumer: 3, Distribution: hash, Keys: []uint32{0}, Retention: none, Schema: ints("k", "s")},
			{Id: 3, Producer: 3, Result: true, Distribution: Distribution_DISTRIBUTION_MERGE, Order: []*SortKey{{Column: 1}}, Retention: none, Schema: ints("k", "s")},
			{Id: 4, Producer: 4, Consumer: 5, Distribution: Distribution_DISTRIBUTION_FORWARD, Retention: none, Schema: ints("k")},
		},
	}
}

// TestValidate breaks each rule once: a graph with the fault is refused with a
// message that says where, and the graph without it passes.
func TestValidate(t *testing.T) {
	if err := Validate(good()); err != nil {
		t.Fatal(err)
	}
	op := func(g *Graph, vertex, i int) *Operator { return g.Vertices[vertex].Chain[i] }
	cases := []struct {
		want  string
		fault func(g *Graph)
	}{
		{"version 9", func(g *Graph) { g.Version = 9 }},
		{"mode", func(g *Graph) { g.Mode = 0 }},
		{"key groups", func(g *Graph) { g.KeyGroups = 0 }},
		{"key groups", func(g *Graph) { g.KeyGroups = 1 << 20 }},
		{"no vertices", func(g *Graph) { g.Vertices, g.Exchanges = nil, nil }},
		{"10001 vertices and 5 exchanges, want at most", func(g *Graph) { g.Vertices = make([]*Vertex, MaxVertices+1) }},
		{"vertices and 20001 exchanges, want at most", func(g *Graph) { g.Exchanges = make([]*Exchange, MaxExchanges+1) }},
		{"a name of 2000 bytes", func(g *Graph) { g.Name = strings.Repeat("x", 2000) }},
		{"vertex 1: a uid of 2000 bytes", func(g *Graph) { g.Vertices[1].Uid = strings.Repeat("x", 2000) }},
		{"tasks, want at most", func(g *Graph) { g.Vertices[0].Parallelism, g.Vertices[1].Parallelism = 1<<31, 1<<31 }},
		{"vertex 0: 0 inputs and 6 outputs, there are 5 exchanges", func(g *Graph) { g.Vertices[0].Outputs = make([]uint32, 6) }},
		{"exchange 1: is numbered 7", func(g *Graph) { g.Exchanges[1].Id = 7 }},
		{"producer 9 does not exist", func(g *Graph) { g.Exchanges[0].Producer = 9 }},
		{"consumer 9 does not exist", func(g *Graph) { g.Exchanges[0].Consumer = 9 }},
		{"against the topological order", func(g *Graph) { g.Exchanges[2].Consumer = 1 }},
		{"no retention", func(g *Graph) { g.Exchanges[0].Retention = 0 }},
		{"no columns", func(g *Graph) { g.Exchanges[0].Schema = nil }},
		{"producer 0 does not list it once", func(g *Graph) { g.Vertices[0].Outputs = nil }},
		{"consumer 2 does not list it once", func(g *Graph) { g.Vertices[2].Inputs = []uint32{1, 1} }},
		{"unknown name", func(g *Graph) { g.Exchanges[0].Schema[0].Type = "NUMBER" }},
		{"no distribution", func(g *Graph) { g.Exchanges[0].Distribution = 0 }},
		{"hash distribution without keys", func(g *Graph) { g.Exchanges[0].Keys = nil }},
		{"key column 5 of 2", func(g *Graph) { g.Exchanges[0].Keys[0] = 5 }},
		{"without an order", func(g *Graph) { g.Exchanges[3].Order = nil }},
		{"sort column 2 of 2", func(g *Graph) { g.Exchanges[3].Order[0].Column = 2 }},
		{"forward from parallelism 1 to 2", func(g *Graph) { g.Vertices[5].Parallelism = 2 }},
		{"into parallelism 2", func(g *Graph) {
			g.Vertices[5].Parallelism, g.Exchanges[4].Distribution = 2, Distribution_DISTRIBUTION_SINGLETON
		}},
		{"vertex 1: is numbered 3", func(g *Graph) { g.Vertices[1].Id = 3 }},
		{"uid \"a\" is empty or taken", func(g *Graph) { g.Vertices[1].Uid = "a" }},
		{"vertex 4: no operators", func(g *Graph) { g.Vertices[4].Chain = nil }},
		{"above the 8 key groups", func(g *Graph) {
			g.Vertices[0].Parallelism = 9
			g.Exchanges[0].Distribution = Distribution_DISTRIBUTION_REBALANCE
		}},
		{"input 4 is not an exchange to it", func(g *Graph) { g.Vertices[0].Inputs = []uint32{4} }},
		{"output 4 is not an exchange from it", func(g *Graph) { g.Vertices[0].Outputs = []uint32{0, 4} }},
		{"another schema", func(g *Graph) { g.Exchanges[0].Schema[1].Name = "w" }},
		{"takes side 1 of 0", func(g *Graph) { g.Exchanges[4].Side = 1 }},
		{"side output late without columns", func(g *Graph) { op(g, 4, 0).Sides = []*SideOutput{{Name: "late"}} }},
		{"side output late: column k", func(g *Graph) {
			op(g, 4, 0).Sides = []*SideOutput{{Name: "late", Schema: []*Field{{Name: "k", Type: "NUMBER"}}}}
		}},
		{"another schema", func(g *Graph) {
			op(g, 4, 0).Sides = []*SideOutput{{Name: "late", Schema: g.Exchanges[0].Schema}}
			g.Exchanges[4].Side = 1
		}},
		{"at most -1 rejected records of a", func(g *Graph) {
			op(g, 5, 0).Spec = &Operator_RejectLimit{RejectLimit: &RejectLimit{Most: []*RejectMost{{Source: "a", Rows: -1}}}}
		}},
		{"which emits nothing", func(g *Graph) {
			g.Exchanges = append(g.Exchanges, &Exchange{Id: 5, Producer: 5, Result: true, Distribution: Distribution_DISTRIBUTION_SINGLETON, Retention: Retention_RETENTION_NONE, Schema: g.Exchanges[4].Schema})
			g.Vertices[5].Outputs = append(g.Vertices[5].Outputs, 5)
		}},
		{"is not the end of its vertex", func(g *Graph) { g.Vertices[5].Chain = append(g.Vertices[5].Chain, proto.CloneOf(op(g, 5, 0))) }},
		{"no output and no sink", func(g *Graph) { g.Vertices[5].Chain = g.Vertices[5].Chain[:1] }},
		{"no uid", func(g *Graph) { op(g, 0, 0).Uid = "" }},
		{"no spec", func(g *Graph) { op(g, 0, 0).Spec = nil }},
		{"2 inputs, want 1", func(g *Graph) { op(g, 2, 0).Spec = op(g, 2, 1).Spec }},
		{"row 0 has 2 values for 1 columns", func(g *Graph) {
			row := op(g, 4, 0).GetValues().Rows[0]
			row.Values = append(row.Values, &exprpb.Literal{})
		}},
		{"neither filter nor projection", func(g *Graph) { op(g, 2, 1).GetCalc().Reset() }},
		{"1 expressions for 2 columns", func(g *Graph) { c := op(g, 2, 1).GetCalc(); c.Projection = c.Projection[:1] }},
		{"column 9 of 4", func(g *Graph) { op(g, 2, 1).GetCalc().Filter.Node = &exprpb.Expr_Column{Column: 9} }},
		{"an empty expression", func(g *Graph) { op(g, 2, 1).GetCalc().Filter.Node = nil }},
		{"time column 4 of 2", func(g *Graph) { op(g, 1, 1).GetWatermark().Column = 4 }},
		{"phase", func(g *Graph) { op(g, 3, 0).GetAggregate().Phase = 0 }},
		{"key column 6 of 2", func(g *Graph) { op(g, 3, 0).GetAggregate().Keys[0] = 6 }},
		{"argument column 6 of 2", func(g *Graph) { op(g, 2, 3).GetAggregate().Calls[0].Args[0] = 6 }},
		{"1 arguments and 0 types", func(g *Graph) { op(g, 2, 3).GetAggregate().Calls[0].ArgTypes = nil }},
		{"filter column 2 of 2", func(g *Graph) { op(g, 2, 3).GetAggregate().Calls[0].Filter = 2 }},
		{"no window", func(g *Graph) { op(g, 2, 2).GetWindowAggregate().Window = nil }},
		{"time column 2 of 2", func(g *Graph) { op(g, 2, 2).GetWindowAggregate().TimeColumn = 2 }},
		{"no join type", func(g *Graph) { op(g, 2, 0).GetJoin().Type = 0 }},
		{"1 left keys, 0 right ones", func(g *Graph) { op(g, 2, 0).GetJoin().RightKeys = nil }},
		{"right key column 2 of 2", func(g *Graph) { op(g, 2, 0).GetJoin().RightKeys[0] = 2 }},
		{"collection column 2 of 2", func(g *Graph) { op(g, 3, 1).Spec = &Operator_Unnest{Unnest: &Unnest{Column: 2}} }},
		{"kept column 2 of 2", func(g *Graph) {
			op(g, 3, 1).Spec = &Operator_Unnest{Unnest: &Unnest{Keep: []uint32{2}, Ordinality: true}}
		}},
		{"2 columns for 0 kept, 1 fields", func(g *Graph) { op(g, 3, 1).Spec = &Operator_Unnest{Unnest: &Unnest{Fields: []uint32{0}}} }},
		{"limit -2", func(g *Graph) { op(g, 3, 1).GetLimit().Limit = -2 }},
		{"limit -1", func(g *Graph) { op(g, 3, 2).GetTopN().Limit = -1 }},
		{"sort column 3 of 2", func(g *Graph) { op(g, 3, 3).GetSort().Keys[0].Column = 3 }},
		{"1 columns for a table of 2", func(g *Graph) {
			s := op(g, 5, 1).GetSink()
			s.Columns = append(s.Columns, s.Columns[0])
		}},
	}
	for _, c := range cases {
		g := proto.CloneOf(good())
		c.fault(g)
		if err := Validate(g); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, have %v", c.want, err)
		}
	}
}
