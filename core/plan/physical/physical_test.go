package physical

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// The plans that the binder makes are tested as text in core/plan/planner. Here
// is what no statement shows.

func scan(name string) *plan.Scan {
	s := datatype.Schema{{Name: "id", Type: datatype.Of(datatype.BigInt)}, {Name: name, Type: datatype.Of(datatype.Varchar)}}
	return &plan.Scan{Connector: "c", Table: connector.Table{Name: name}, Columns: s, Known: connector.Description{Schema: s, Bounded: true, Rows: 10, Bytes: -1}}
}

func join(l, r plan.Node) *plan.Join {
	return &plan.Join{Left: l, Right: r, Kind: plan.Inner, LeftKeys: []int{0}, RightKeys: []int{0}}
}

// TestUIDs shows that equal plans get equal uids, equal vertices in one plan
// different ones, and that a change keeps the uids of what it does not touch.
func TestUIDs(t *testing.T) {
	build := func(n plan.Node) *jobgraph.Graph {
		g, _, err := Build([]plan.Node{n}, Options{Parallelism: 2})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	first := build(join(scan("a"), scan("a")))
	if again := build(join(scan("a"), scan("a"))); !proto.Equal(first, again) {
		t.Error("the same plan gave two graphs")
	}
	if first.Vertices[0].Uid == first.Vertices[1].Uid {
		t.Error("two scans of one table have one uid")
	}
	other := build(join(scan("a"), scan("b")))
	if first.Vertices[0].Uid != other.Vertices[0].Uid {
		t.Error("the scan of a has another uid because b changed")
	}
	if first.Vertices[2].Uid == other.Vertices[2].Uid {
		t.Error("the join has the same uid over another input")
	}
}

// TestGraphOwnsOptions shows that what is done to a job's options is not done to its tables:
// the paths of a job for a cluster are made absolute.
func TestGraphOwnsOptions(t *testing.T) {
	from := scan("a")
	from.Table.Options = map[string]string{"path": "in"}
	to := &plan.Sink{Input: from, Connector: "c", Table: connector.Table{Name: "b", Options: map[string]string{"path": "out"}, Schema: from.Columns}, Accepts: connector.Inserts}
	g, _, err := Build([]plan.Node{to}, Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range g.Vertices[0].Chain {
		for _, options := range []map[string]string{op.GetSource().GetOptions(), op.GetSink().GetOptions()} {
			if options != nil {
				options["path"] = "/" + options["path"]
			}
		}
	}
	if from.Table.Options["path"] != "in" || to.Table.Options["path"] != "out" {
		t.Errorf("the tables' options are %v and %v", from.Table.Options, to.Table.Options)
	}
}

// TestStateIdentity shows that the uids of operators with state are those of what it means:
// a filter changes what is exact, and a matching finds the operators again.
func TestStateIdentity(t *testing.T) {
	build := func(n plan.Node) map[string]*jobgraph.Operator {
		g, _, err := Build([]plan.Node{n}, Options{Streaming: true, Parallelism: 2})
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]*jobgraph.Operator{}
		for _, v := range g.Vertices {
			for _, op := range v.Chain {
				if op.Kept != nil {
					kind, _, _ := strings.Cut(op.Uid, "-")
					by[kind+" "+op.GetSource().GetTable()] = op
				}
			}
		}
		return by
	}
	loosest := func(op *jobgraph.Operator) string { return op.Kept.Meanings[len(op.Kept.Meanings)-1] }
	first, turned := build(join(scan("a"), scan("b"))), build(join(scan("b"), scan("a")))
	if x, y := first["join "], turned["join "]; x.Uid != y.Uid || x.GetUpdatingJoin().Crossed == y.GetUpdatingJoin().Crossed {
		t.Errorf("sides turned round: %s and %s", x, y)
	}
	cond := &expr.Call{Function: "IS NOT NULL", Args: []expr.Expr{plan.Column(scan("a").Columns, 1)}, T: datatype.Of(datatype.Boolean).NotNull()}
	filtered := build(join(&plan.Filter{Input: scan("a"), Cond: cond}, scan("b")))
	for kind, op := range first {
		if now := filtered[kind]; now == nil || now.Uid == op.Uid && kind != "source b" || loosest(now) != loosest(op) {
			t.Errorf("%s with a filter: %v, was %v", kind, now, op)
		}
	}
	other := build(join(scan("a"), scan("c")))
	if loosest(other["join "]) == loosest(first["join "]) || loosest(other["source a"]) != loosest(first["source a"]) {
		t.Error("a join with another table is another one, and the scan of the same one is not")
	}
}

// TestFieldsOfRows shows that what is computed of a row's field means that field, whatever
// other fields are read.
func TestFieldsOfRows(t *testing.T) {
	meaning := func(field int64, fields ...string) string {
		bigint := datatype.Of(datatype.BigInt)
		row := datatype.Of(datatype.Row)
		for _, f := range fields {
			row.Fields = append(row.Fields, datatype.Field{Name: f, Type: bigint})
		}
		at := &expr.Literal{Value: field, T: bigint.NotNull()}
		return expression(expr.ToProto(&expr.Call{Function: ".", Args: []expr.Expr{&expr.Column{T: row}, at}, T: bigint}), []string{"t.row"})
	}
	if a, b := meaning(0, "x"), meaning(1, "z", "x"); a != b {
		t.Errorf("field x means %q and %q", a, b)
	}
	if a, b := meaning(0, "x"), meaning(0, "z"); a == b {
		t.Errorf("fields x and z mean %q", a)
	}
	if a := meaning(7, "x"); a == meaning(0, "x") {
		t.Errorf("a field that is not there means %q", a)
	}
}

// TestDiamond joins a vertex with itself: the join reads its build side first,
// while the producer waits for room on the probe side. Retention job prevents it.
func TestDiamond(t *testing.T) {
	b := &builder{graph: &jobgraph.Graph{Mode: jobgraph.Mode_MODE_BATCH}}
	source, hub := b.open(1), b.open(1)
	from := &fragment{vertex: source, schema: scan("a").Columns}
	for range 2 {
		b.connect(from, hub, forward())
	}
	hub.Chain = []*jobgraph.Operator{{Spec: &jobgraph.Operator_Join{Join: &jobgraph.Join{}}}}
	b.retain()
	probe, build := b.graph.Exchanges[0], b.graph.Exchanges[1]
	if probe.Retention != jobgraph.Retention_RETENTION_JOB || build.Retention != jobgraph.Retention_RETENTION_NONE {
		t.Errorf("probe %v, build %v", probe.Retention, build.Retention)
	}
	b.graph.Mode = jobgraph.Mode_MODE_STREAMING
	if b.retain(); probe.Retention != jobgraph.Retention_RETENTION_NONE {
		t.Errorf("streaming: probe %v", probe.Retention)
	}
}
